package inspect

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Errors that say why a request of a browser is not answered.
var (
	errRemote     = errors.New("only this machine may look: inspect.Options.AllowRemote lets others in")
	errProxied    = errors.New("the request came through a proxy, so that it may be from another machine: inspect.Options.AllowRemote lets it in")
	errHost       = errors.New("the page is not known by this name: ask for localhost or an address, or list the name in inspect.Options.Hosts")
	errCrossSite  = errors.New("another site asks: open the page itself")
	errNoFile     = errors.New("there is no such file")
	errNotAllowed = errors.New("the method is not allowed here")
)

// forwardedFields are those by which proxies say for whom they ask.
var forwardedFields = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}

// admit says why a request is refused, or is nil. Loopback alone is no protection: any page in a browser on this machine can send requests there.
// The name that it asked for shows that a hostile name leads here (DNS rebinding), and the fields of Fetch Metadata show that another site asks.
func (in *Inspector) admit(r *http.Request) error {
	if !in.o.AllowRemote {
		if !local(r) {
			return errRemote
		}
		for _, name := range forwardedFields {
			if len(r.Header[name]) > 0 {
				return errProxied
			}
		}
	}
	if !in.knownHost(r.Host) {
		return errHost
	}
	if in.crossOrigin.Check(r) != nil {
		return errCrossSite
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "", site == "same-origin", site == "none":
	case r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" && r.Method == http.MethodGet: // a link to the page
	default:
		return errCrossSite
	}
	return nil
}

// local reports whether a request came over the loopback interface or a socket of this machine.
func local(r *http.Request) bool {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr.Network() == "unix" {
		return true
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// knownHost reports whether the page may be asked for by a name. An address is no name that a hostile DNS could lead here.
func (in *Inspector) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return in.o.AllowRemote || addr.Unmap().IsLoopback()
	}
	return slices.ContainsFunc(in.o.Hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// harden adds the fields that keep a browser from doing more with an answer than the page needs.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
