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

// variant is how a request's connection differs from that of other requests.
// Requests that want the same share connections, and no others do.
type variant struct {
	tls      *tls.Config
	insecure bool
	pins     string // SHA-256 sums of certificates, 32 bytes each
	tlsFrom  string // the option that gave one of these three

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

// choice is what tells the connections of t, which is v's variant of base, from others, or nil if that is nothing.
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

// option names what makes v differ.
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
		t.IdleConnTimeout = 90 * time.Second // of a variant that made room, nobody closes the last connection
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
		if err != nil { // it has been parsed before
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

// ownHTTP2 has t, a clone, speak HTTP/2 if its original does, and over connections of its own.
// A clone offers it to servers, as its configuration says, but has no code for it; or else, where x/net/http2 was configured,
// the original's, which would take the clone's connections for its own.
func resetHTTP2(t *http.Transport) {
	if t.TLSNextProto["h2"] != nil {
		t.TLSNextProto = nil
		t.ForceAttemptHTTP2 = true
	}
	if t.TLSNextProto == nil && t.TLSClientConfig != nil && slices.Contains(t.TLSClientConfig.NextProtos, "h2") {
		t.ForceAttemptHTTP2 = true
	}
}
