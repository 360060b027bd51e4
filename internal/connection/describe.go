package connection

import (
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Of returns the parts of t's connections. Parts that cannot be named have the token of owner, which is t or the original of t.
// t may be in use; its exported fields must not change any more.
func Of(t, owner *http.Transport) Parts {
	c := t.Clone() // reading t.TLSClientConfig would race with the first request of t, which changes it
	token := func() string { return tokenOf(owner) }
	var p Parts
	p.TLS = describeTLS(c.TLSClientConfig, token)
	p.dialed(c, token)
	p.proxied(c, token)
	web, foreign := ownProtocols(t)
	if web {
		p.Dial.unnamed(ownProtocol, token())
	}
	if foreign {
		p.Foreign = token()
	}
	return p
}

const ownProtocol = "a protocol that is registered with the transport cannot be named"

// ownProtocols reports whether the program has registered round trippers with t, for http and https and for other schemes, such as file.
// net/http has registered its own for HTTP/2 by now, since t has been cloned. If net/http changes how it stores them, none are found.
func ownProtocols(t *http.Transport) (web, foreign bool) {
	registered := reflect.ValueOf(t).Elem().FieldByName("altProto")
	if registered.Kind() != reflect.Struct {
		return false, false
	}
	v := registered.FieldByName("v")
	if v.Kind() != reflect.Interface || v.IsNil() || v.Elem().Kind() != reflect.Map {
		return false, false
	}
	for protocols := v.Elem().MapRange(); protocols.Next(); {
		switch scheme := protocols.Key().String(); {
		case !ofHTTP(scheme):
			foreign = true
		case scheme != "https" || !ofHTTP2(protocols.Value()):
			web = true
		}
	}
	return web, foreign
}

func ofHTTP(scheme string) bool { return scheme == "https" || scheme == "http" }

// ofHTTP2 reports whether a registered round tripper is net/http's own for HTTP/2, or no longer registered.
func ofHTTP2(h reflect.Value) bool {
	if h.Kind() == reflect.Interface {
		h = h.Elem()
	}
	if !h.IsValid() {
		return true
	}
	of := h.Type()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return of.PkgPath() == "net/http" || strings.HasSuffix(of.PkgPath(), "/http2")
}

// TLS returns the part of a TLS configuration. What cannot be named has the token of the configuration.
func TLS(c *tls.Config) Part {
	return describeTLS(c.Clone(), func() string { return tokenOf(c) })
}

// Pinned returns the TLS part of connections to servers whose certificates have one of the sums. t, a copy of owner, verifies the sum and nothing else.
func Pinned(t, owner *http.Transport, sums ...string) Part {
	c := t.Clone().TLSClientConfig
	c.VerifyConnection = nil
	p := describeTLS(c, func() string { return tokenOf(owner) })
	p.add("pinned", slices.Sorted(slices.Values(sums))...)
	return p
}

// Direct returns the proxy part of connections that bypass the proxies of the environment.
func Direct() Part {
	var p Part
	p.add("direct")
	return p
}

// describeTLS names what c shows to servers and demands of them. Versions and ciphers are not part of an identity.
func describeTLS(c *tls.Config, token func() string) Part {
	var p Part
	if c == nil {
		return p
	}
	callbacks := c.VerifyConnection != nil || c.VerifyPeerCertificate != nil
	p.unverified = c.InsecureSkipVerify
	switch {
	case callbacks:
		p.unnamed("a verification of the connection's own cannot be named", token())
	case c.InsecureSkipVerify:
		p.add("unverified")
	}
	if c.RootCAs != nil && !c.InsecureSkipVerify {
		switch roots, ok := rootsOf(c.RootCAs); {
		case !ok:
			p.unnamed("the trusted roots cannot be named", token())
		case roots != nil:
			p.add("roots", roots...)
		}
	}
	if c.Time != nil && !c.InsecureSkipVerify {
		p.unnamed("the clock of the TLS configuration cannot be named", token())
	}
	if c.GetClientCertificate != nil {
		p.unnamed("a client certificate that is chosen per connection cannot be named", token())
	}
	if sums := certificateSums(c.Certificates); sums != nil {
		p.add("certificates", sums...)
	}
	if c.ServerName != "" {
		p.add("server name", strings.ToLower(c.ServerName))
	}
	return p
}

// certificateSums returns the SHA-256 sums of the leaves of certs.
func certificateSums(certs []tls.Certificate) (sums []string) {
	for _, cert := range certs {
		if len(cert.Certificate) > 0 {
			sum := sha256.Sum256(cert.Certificate[0])
			sums = append(sums, string(sum[:]))
		}
	}
	return sums
}

func (p *Parts) dialed(t *http.Transport, token func() string) {
	//lint:ignore SA1019 a transport may have the deprecated one
	if t.DialTLSContext != nil || t.DialTLS != nil {
		p.Dial.unverified = true // whether the dialer verifies certificates is unknown
		p.Dial.unnamed("a TLS dialer of the transport's own cannot be named", token())
	}
	//lint:ignore SA1019 a transport may have the deprecated one
	old := t.Dial
	switch {
	case t.DialContext == nil && old == nil:
	case t.DialContext == nil && sameCode(old, (&net.Dialer{}).Dial), t.DialContext == nil && sameCode(old, net.Dial):
	case t.DialContext == nil:
		p.Dial.unnamed(ownDialer, token())
	case sameCode(t.DialContext, (&net.Dialer{}).DialContext):
	case sameCode(t.DialContext, (&Dialer{}).DialContext):
		way := askDialTarget(t.DialContext)
		p.Dial.content = append(p.Dial.content, way.content...)
		if way.why != "" {
			p.Dial.unnamed(way.why, token())
		}
	default:
		p.Dial.unnamed(ownDialer, token())
	}
}

const ownDialer = "a dialer of the transport's own cannot be named"

func (p *Parts) proxied(t *http.Transport, token func() string) {
	if g := GateOf(t); g != nil {
		t.Proxy = g.Proxy // t is a clone
	}
	switch {
	case t.Proxy == nil:
		return
	case sameCode(t.Proxy, http.ProxyFromEnvironment):
		// Proxies of the environment are no part of the identity: stored responses survive a move to another network, as they do without proxies.
		p.Environment = true
	case isProxyURL(t.Proxy):
		if u, err := t.Proxy(nil); err == nil && u != nil {
			p.Proxy.add("proxy", proxyName(u))
		}
	default:
		p.Proxy.unnamed("a proxy that is chosen per request cannot be named", token())
	}
	switch {
	case t.GetProxyConnectHeader != nil:
		p.Proxy.unnamed("proxy header fields that are chosen per connection cannot be named", token())
	case len(t.ProxyConnectHeader) > 0:
		var wire strings.Builder
		t.ProxyConnectHeader.Write(&wire) // in the order of names
		p.Proxy.add("proxy header", wire.String())
	}
}

// proxyName returns a proxy's URL with its credentials. It must only be hashed.
func proxyName(u *url.URL) string {
	c := *u
	c.Scheme, c.Host = strings.ToLower(c.Scheme), strings.ToLower(c.Host)
	c.Path, c.RawPath, c.Fragment, c.RawFragment = "", "", "", ""
	return c.String()
}

// isProxyURL reports whether [http.ProxyURL] has made a function, which then ignores the request.
// The compiler names the function after the one that ProxyURL was inlined into.
func isProxyURL(f func(*http.Request) (*url.URL, error)) bool {
	fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if fn == nil {
		return false
	}
	file, _ := fn.FileLine(fn.Entry())
	return strings.HasSuffix(file, "net/http/transport.go") && strings.Contains(fn.Name(), ".ProxyURL.func")
}

// sameCode reports whether two functions, or methods bound to values, have the same code.
func sameCode(a, b any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// ShowsCertificate reports whether a client's TLS connection has a certificate to show, whether or not the server has requested it.
// [tls.ConnectionState] does not say so. If crypto/tls changes how it stores the configuration, none is found.
func ShowsCertificate(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	if !ok || c == nil {
		return false
	}
	config := reflect.ValueOf(c).Elem().FieldByName("config")
	if config.Kind() != reflect.Pointer || config.IsNil() || config.Type() != reflect.TypeFor[*tls.Config]() {
		return false
	}
	config = config.Elem()
	return config.FieldByName("Certificates").Len() > 0 || !config.FieldByName("GetClientCertificate").IsNil()
}
