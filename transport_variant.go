package ply

import (
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/connection"
)

// variant holds the connection settings of a request. Requests with equal variants share connections, and only those do.
type variant struct {
	tls      *tls.Config
	insecure bool
	pins     string // SHA-256 sums of certificates, 32 bytes each
	tlsFrom  string // the option that set one of these three

	proxy       string // a URL, credentials included, or direct
	proxyHeader string // in wire format

	identity bool // the transport doesn't ask for gzip
}

func (v variant) over(d variant) variant {
	if v.tlsFrom == "" {
		v.tls, v.insecure, v.pins, v.tlsFrom = d.tls, d.insecure, d.pins, d.tlsFrom
	}
	if v.proxy == "" {
		v.proxy = d.proxy
	}
	if v.proxyHeader == "" {
		v.proxyHeader = d.proxyHeader
	}
	v.identity = v.identity || d.identity
	return v
}

// choice returns the identity of the connections of t, which is v's variant of base, or nil for the common one.
func (v variant) choice(t, base *http.Transport) *connection.Choice {
	of, parts := connection.Of(base, base), connection.Of(t, base)
	switch {
	case v.tls != nil:
		parts.TLS = connection.TLS(v.tls)
	case v.pins != "":
		var sums []string
		for sum := range slices.Chunk([]byte(v.pins), sha256.Size) {
			sums = append(sums, string(sum))
		}
		parts.TLS = connection.Pinned(t, base, sums...)
	}
	if v.proxy == direct && of.Environment {
		parts.Proxy = connection.Direct()
	}
	was, is := of.Identity(), parts.Identity()
	if was.Common() && is.Common() {
		return nil
	}
	return &connection.Choice{Base: &was, Own: &is}
}

// option returns the name of the request option that v comes from.
func (v variant) option() string {
	switch {
	case v.tlsFrom != "":
		return v.tlsFrom
	case v.proxy != "":
		return "ProxyURL"
	case v.proxyHeader != "":
		return "ProxyConnectHeader"
	}
	return "OmitHeader(Accept-Encoding)"
}

func (v variant) transport(base *http.Transport) *http.Transport {
	t := base.Clone()
	resetHTTP2(t)
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = 90 * time.Second // closes the last connection of an evicted variant
	}
	if v.tlsFrom != "" {
		v.applyTLS(t)
	}
	switch v.proxy {
	case "":
	case direct:
		connection.SetProxy(t, nil)
	default:
		proxy, err := url.Parse(v.proxy)
		if err != nil { // cannot happen: ProxyURL has parsed it
			connection.SetProxy(t, func(*http.Request) (*url.URL, error) { return nil, err })
			break
		}
		connection.SetProxy(t, http.ProxyURL(proxy))
	}
	if v.proxyHeader != "" {
		t.ProxyConnectHeader = parseFields(v.proxyHeader)
		t.GetProxyConnectHeader = nil
	}
	if v.identity {
		t.DisableCompression = true
	}
	return t
}

// resetHTTP2 makes t, a clone, speak HTTP/2 over connections of its own if its original does. A clone offers HTTP/2 to servers, as its
// configuration says, but lacks the code for it. If x/net/http2 was configured, it has that of the original, which would take over the clone's connections.
func resetHTTP2(t *http.Transport) {
	if t.TLSNextProto["h2"] != nil {
		t.TLSNextProto = nil
		t.ForceAttemptHTTP2 = true
	}
	if t.TLSNextProto == nil && t.TLSClientConfig != nil && slices.Contains(t.TLSClientConfig.NextProtos, "h2") {
		t.ForceAttemptHTTP2 = true
	}
}
