package plyotel

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/plyhttp/ply"
)

// The attributes that the semantic conventions have no name for.
const (
	authStatusKey    = attribute.Key("ply.auth.status")
	authReasonKey    = attribute.Key("ply.auth.reason")
	cacheStatusKey   = attribute.Key("ply.cache.status")
	cacheReasonKey   = attribute.Key("ply.cache.reason")
	collapsedKey     = attribute.Key("ply.cache.collapsed")
	cacheNameKey     = attribute.Key("ply.cache.name")
	decodeCodingsKey = attribute.Key("ply.decode.codings")
	decodeEncodedKey = attribute.Key("ply.decode.encoded_size")
	retryAttemptsKey = attribute.Key("ply.retry.attempts")
	retryStopKey     = attribute.Key("ply.retry.stop")
	retryWaitKey     = attribute.Key("ply.retry.wait")
	nameKey          = attribute.Key("ply.name")
	hedgeKey         = attribute.Key("ply.hedge")
	noteDetailKey    = attribute.Key("ply.note.detail")
	noteDurationKey  = attribute.Key("ply.note.duration")
	budgetNameKey    = attribute.Key("ply.retry.budget.name")
	reusedKey        = attribute.Key("ply.connection.reused")
	closedEarlyKey   = attribute.Key("ply.body.closed_early")
	neverClosedKey   = attribute.Key("ply.body.never_closed")
)

// server is what server.address and server.port say.
type server struct {
	address string
	port    int // zero if it is not known
}

// otherServer stands for all servers beyond Options.MaxServers.
var otherServer = server{address: "_OTHER"}

func serverOf(u *url.URL) server {
	if u == nil {
		return server{}
	}
	s := server{address: text(strings.ToLower(u.Hostname()), maxWord)}
	switch port := u.Port(); {
	case port != "":
		if n, err := strconv.Atoi(port); err == nil {
			s.port = n
		}
	case u.Scheme == "https":
		s.port = 443
	case u.Scheme == "http":
		s.port = 80
	}
	return s
}

func (s server) attributes(to []attribute.KeyValue) []attribute.KeyValue {
	if s.address != "" {
		to = append(to, semconv.ServerAddress(s.address))
	}
	if s.port != 0 {
		to = append(to, semconv.ServerPort(s.port))
	}
	return to
}

// methodOf returns the method, or "_OTHER" for an unknown one.
func methodOf(req *http.Request) string {
	switch req.Method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return req.Method
	}
	return "_OTHER"
}

// template returns the redacted template of the URL, or "" after a redirect.
func (t *Telemetry) template(req *http.Request) string {
	if req.Response != nil {
		return ""
	}
	return text(t.redactor(req).URLTemplate(ply.URLTemplate(req.Context())), maxWord)
}

// spanName is the method, followed by the template of the URL if there is one.
func (t *Telemetry) spanName(req *http.Request) string {
	name := methodOf(req)
	if name == "_OTHER" {
		name = "HTTP"
	}
	if template := t.template(req); template != "" {
		name += " " + template
	}
	return name
}

// about returns the attributes of a request that are known before it is sent.
func (t *Telemetry) about(req *http.Request) []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 8)
	method := methodOf(req)
	a = append(a, semconv.HTTPRequestMethodKey.String(method))
	if method == "_OTHER" {
		a = append(a, semconv.HTTPRequestMethodOriginal(text(req.Method, maxWord)))
	}
	if req.URL != nil {
		a = append(a, semconv.URLFull(text(t.redactor(req).URL(req.URL), maxURL)))
	}
	a = serverOf(req.URL).attributes(a)
	if template := t.template(req); template != "" {
		a = append(a, semconv.URLTemplate(template))
	}
	return a
}

// measured returns the attributes of a request for metrics, which have few values each.
func (t *Telemetry) measured(req *http.Request) []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 10)
	a = append(a, semconv.HTTPRequestMethodKey.String(methodOf(req)))
	s := serverOf(req.URL)
	if !t.servers.has(s) {
		s = otherServer
	}
	a = s.attributes(a)
	if req.URL != nil && (req.URL.Scheme == "http" || req.URL.Scheme == "https") {
		a = append(a, semconv.URLScheme(req.URL.Scheme))
	}
	if template := t.template(req); template != "" && t.templates.has(template) {
		a = append(a, semconv.URLTemplate(template))
	}
	return a
}

// version returns the protocol version in the form of the conventions: "2", not "2.0".
func version(resp *http.Response) string {
	switch {
	case resp == nil || resp.ProtoMajor == 0:
		return ""
	case resp.ProtoMajor >= 2:
		return strconv.Itoa(resp.ProtoMajor)
	case resp.ProtoMajor == 1 && resp.ProtoMinor == 1:
		return "1.1"
	}
	return strconv.Itoa(resp.ProtoMajor) + "." + strconv.Itoa(resp.ProtoMinor)
}

// appendPeer appends the address of the peer of a connection.
func appendPeer(to []attribute.KeyValue, conn net.Conn) []attribute.KeyValue {
	if conn == nil || conn.RemoteAddr() == nil {
		return to
	}
	remote := conn.RemoteAddr().String()
	host, port, err := net.SplitHostPort(remote)
	if err != nil {
		return append(to, semconv.NetworkPeerAddress(remote))
	}
	to = append(to, semconv.NetworkPeerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		to = append(to, semconv.NetworkPeerPort(n))
	}
	return to
}
