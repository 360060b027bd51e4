package cli

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
)

var discardLog = log.New(io.Discard, "", 0)

// statusClientGone is what the access log has for a client that has left, as other proxies write it. It is sent to no one.
const statusClientGone = 499

// A proxy forwards requests to an origin through the chain.
type proxy struct {
	e        *env
	f        *proxyFlags
	origin   *url.URL
	at       string // where it listens
	name     string // in Via, of this process alone (RFC 9110 §7.6.3)
	cached   *httputil.ReverseProxy
	bypassed *httputil.ReverseProxy // for upgrades

	logging sync.Mutex // one line at a time
}

func newProxy(e *env, f *proxyFlags, origin *url.URL, at string, chain, bypass http.RoundTripper) *proxy {
	var id [4]byte
	rand.Read(id[:])
	p := &proxy{e: e, f: f, origin: origin, at: at, name: "ply-" + hex.EncodeToString(id[:])}
	p.cached = p.over(chain)
	p.bypassed = p.over(bypass)
	return p
}

func (p *proxy) over(next http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: next, FlushInterval: -1, ErrorLog: discardLog, ErrorHandler: p.fail,
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Add("Via", fmt.Sprintf("%d.%d %s", cmp.Or(resp.ProtoMajor, 1), resp.ProtoMinor, p.name))
			return nil
		},
	}
}

// bypassingTransport returns the transport for connections that change their protocol, which no layer could follow.
func (f *proxyFlags) bypassingTransport() (*http.Transport, error) {
	t, err := ply.NewTransport(ply.TransportOptions{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: f.insecure}}) // as --insecure asks
	if err == nil {
		t.ResponseHeaderTimeout = f.headerTimeout
	}
	return t, err
}

// rewrite makes the request to the origin. ReverseProxy has removed the hop-by-hop fields.
// What is not part of the cache's key must not come from the client where the origin may put it into an answer: X-Forwarded-Host is the proxy's own address.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.origin)
	maps.DeleteFunc(r.Out.Header, func(name string, _ []string) bool { return saysWhoAsks(name) })
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.Header["Via"] = append(slices.Clone(r.In.Header["Via"]), fmt.Sprintf("%d.%d %s", r.In.ProtoMajor, r.In.ProtoMinor, p.name))
	if left, limited := forwardsLeft(r.In); limited {
		r.Out.Header.Set("Max-Forwards", strconv.FormatUint(left-1, 10))
	}
	if r.Out.Header.Get("Accept-Encoding") == "" { // net/http would ask for gzip, and decode it
		r.Out.Header.Set("Accept-Encoding", "identity")
	}
	client, _, err := net.SplitHostPort(r.In.RemoteAddr)
	if err != nil {
		client = "unknown"
	}
	switch p.f.forwarded {
	case "x":
		r.Out.Header.Set("X-Forwarded-For", client)
		r.Out.Header.Set("X-Forwarded-Host", p.at)
		r.Out.Header.Set("X-Forwarded-Proto", "http")
	case "rfc7239":
		if strings.Contains(client, ":") { // RFC 7239 §6
			client = "[" + client + "]"
		}
		r.Out.Header.Set("Forwarded", fmt.Sprintf("for=%q;host=%q;proto=http", client, p.at))
	}
}

// saysWhoAsks reports whether a field is for proxies alone to say who asks, and for which host, path or scheme: origins trust it, caches do not key on it.
// Origins that get fields by way of CGI variables take an underscore for a hyphen, and some servers make an underscore of everything that is no letter or digit.
func saysWhoAsks(name string) bool {
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-original-") || slices.Contains(whoAsks, name)
}

// whoAsks are the fields of proxies and content delivery networks for the address of a client, and for a host or a path that counts in place of that of the request.
var whoAsks = []string{
	"forwarded", "x-forwarded", "x-forward-for", "x-real-ip", "true-client-ip", "client-ip", "x-client-ip", "x-cluster-client-ip", "cf-connecting-ip", "fastly-client-ip",
	"x-originating-ip", "x-remote-ip", "x-remote-addr", "x-proxyuser-ip", "x-host", "x-http-host-override", "x-rewrite-url",
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &accessWriter{ResponseWriter: w, began: time.Now()}
	defer p.log(a, r) // also when ReverseProxy ends a response that broke off by a panic
	left, limited := forwardsLeft(r)
	switch refusal, why := p.refusal(r); {
	case refusal != 0:
		refuse(a, refusal, why)
	case limited && left == 0:
		p.answerAsLast(a, r)
	case isUpgrade(r):
		r.Body = http.MaxBytesReader(a, r.Body, p.f.maxBody)
		p.bypassed.ServeHTTP(a, r)
	default:
		a.cached = true
		r.Header.Del("Upgrade") // one that is not passed on; a server may ignore it
		r.Body = http.MaxBytesReader(a, r.Body, p.f.maxBody)
		p.cached.ServeHTTP(a, r)
	}
}

// refusal is the status for a request that is not forwarded, and why, or 0.
func (p *proxy) refusal(r *http.Request) (status int, why string) {
	switch {
	case r.Method == http.MethodConnect:
		return http.StatusBadRequest, "this is a reverse proxy: ask for a path"
	case !p.f.shared && !p.knownHost(r.Host): // a hostile page could make its own name lead here (DNS rebinding)
		return http.StatusMisdirectedRequest, "this proxy does not answer for that host: ask for localhost, or name the host with --host"
	case strings.Contains(strings.Join(r.Header["Via"], ","), p.name):
		return http.StatusLoopDetected, "the request has been here before: the origin leads back to this proxy"
	case r.ContentLength > p.f.maxBody:
		return http.StatusRequestEntityTooLarge, "the body is too large"
	}
	return 0, ""
}

func (p *proxy) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback() || slices.ContainsFunc(p.f.hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// fail answers for an origin that did not. The client learns no more than the status says; the log has the error, without secrets.
// A client that only does not send any more looks like one that has left. Without an answer its connection is cut, for net/http would make an empty 200 of nothing.
func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	if a, ok := w.(*accessWriter); ok {
		a.err = err
		if r.Context().Err() != nil {
			a.status = statusClientGone
			panic(http.ErrAbortHandler)
		}
	}
	switch tooLarge := new(http.MaxBytesError); {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "the body is too large")
	case isTimeout(err):
		refuse(w, http.StatusGatewayTimeout, "the origin took too long")
	default:
		refuse(w, http.StatusBadGateway, "the origin did not answer")
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "ply proxy: %s\n", why)
}

// An accessWriter remembers what the access log says of a response.
type accessWriter struct {
	http.ResponseWriter
	began  time.Time
	cached bool // the request passes the cache; without that, Cache-Status is the origin's
	status int
	bytes  int64
	err    error
}

func (a *accessWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *accessWriter) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Hijack gives the connection to one that speaks another protocol from here on.
func (a *accessWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Unwrap lets an http.ResponseController flush.
func (a *accessWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// An accessLine is one request in the log.
type accessLine struct {
	Time   time.Time
	Client string
	Method string
	URL    string // without secrets
	Status int
	Bytes  int64
	Cache  string `json:",omitempty"` // what the cache did, in a word
	Took   string
	Error  string `json:",omitempty"` // without secrets
}

func (p *proxy) log(a *accessWriter, r *http.Request) {
	if p.f.quiet {
		return
	}
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	line := accessLine{
		Time: a.began.UTC().Truncate(time.Millisecond), Client: client, Method: r.Method, URL: redact.URLText(r.URL.RequestURI()), Status: a.status, Bytes: a.bytes,
		Took: time.Since(a.began).Round(10 * time.Microsecond).String(),
	}
	if s, ok := cache.StatusOf(&http.Response{Header: a.Header()}); ok && a.cached && a.err == nil {
		line.Cache = s.Outcome()
	}
	if a.err != nil {
		line.Error = redact.ErrorText(a.err)
	}
	p.logging.Lock()
	defer p.logging.Unlock()
	if p.e.json() {
		if data, err := json.Marshal(line); err == nil {
			fmt.Fprintln(p.e.stderr, printableJSON(string(data)))
		}
		return
	}
	text := fmt.Sprintf("%s %s %s %s %d %d %s %s", line.Time.Format(time.RFC3339), line.Client, line.Method, line.URL, line.Status, line.Bytes, orDefault(line.Cache, "-"), line.Took)
	if line.Error != "" {
		text += " " + line.Error
	}
	fmt.Fprintln(p.e.stderr, printableLine(text))
}
