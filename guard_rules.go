package ply

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/specialaddr"
	"github.com/plyhttp/ply/internal/target"
)

// guard is a [Guard] that has been checked, and shares no memory with it. A nil guard refuses nothing.
type guard struct {
	rules specialaddr.Rules
	hosts []string // in lower case; "*.b" is ".b"
}

// compile returns nil for a nil Guard.
func (g *Guard) compile() (*guard, error) {
	if g == nil {
		return nil, nil
	}
	c := &guard{}
	for _, list := range []struct {
		name string
		from []netip.Prefix
		to   *[]netip.Prefix
	}{
		{"AllowPrefixes", g.AllowPrefixes, &c.rules.Allow},
		{"DenyPrefixes", g.DenyPrefixes, &c.rules.Deny},
		{"NAT64", g.NAT64, &c.rules.NAT64},
	} {
		for _, p := range list.from {
			canonical, ok := specialaddr.Canonical(p)
			if !ok {
				return nil, &OptionError{Option: "Guard." + list.name, Reason: "has an invalid prefix; netip.ParsePrefix says why, and netip.Prefix{} is none"}
			}
			*list.to = append(*list.to, canonical)
		}
	}
	for _, p := range c.rules.NAT64 {
		if !p.Addr().Is6() || !specialaddr.NAT64Length(p.Bits()) {
			return nil, &OptionError{Option: "Guard.NAT64", Reason: "has " + p.String() + ": a translation prefix is of IPv6, and of 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2)"}
		}
	}
	for _, host := range g.AllowHosts {
		pattern, err := hostPattern(host)
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, pattern)
	}
	return c, nil
}

func hostPattern(host string) (string, error) {
	pattern := strings.ToLower(strings.TrimSuffix(host, "."))
	if rest, ok := strings.CutPrefix(pattern, "*."); ok && rest != "" {
		pattern = "." + rest
	}
	reason := ""
	if _, ok := specialaddr.Literal(host); ok {
		reason = "is an address: give it to AllowPrefixes"
	} else if pattern == "" || strings.ContainsAny(pattern, "/:*@[] ") || pattern[0] == '.' && !strings.HasPrefix(host, "*.") {
		reason = `must be a name, or "*." and a name, without scheme and port`
	} else if strings.IndexFunc(pattern, func(r rune) bool { return r >= 0x80 }) >= 0 {
		reason = "is not in ASCII: give it as an A-label (RFC 5890)"
	}
	if reason != "" {
		return "", &OptionError{Option: "Guard.AllowHosts", Reason: fmt.Sprintf("%q %s", host, reason)}
	}
	return pattern, nil
}

// trusts reports whether host is among the names that may lead anywhere. An address is no name, whatever its zone ends in: [::1%25.svc.example].
func (g *guard) trusts(host string) bool {
	if _, ok := specialaddr.Literal(host); ok {
		return false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(g.hosts, func(pattern string) bool {
		return host == pattern || pattern[0] == '.' && strings.HasSuffix(host, pattern)
	})
}

// name is what g refuses, by content. A nil guard has none.
func (g *guard) name() string {
	if g == nil {
		return ""
	}
	return fmt.Sprint(g.rules.Allow, g.rules.Deny, g.rules.NAT64, g.hosts)
}

// check returns a GuardError if addr, which host has led to, is refused.
func (g *guard) check(host string, addr netip.Addr) error {
	refused := g.rules.Judge(addr, g.trusts(host))
	e := &GuardError{Host: host, Addr: addr, Reason: refused.Reason}
	switch refused.Kind {
	case specialaddr.None:
		return nil
	case specialaddr.Metadata:
		e.advice = fmt.Sprintf("; only %s/%d in Guard.AllowPrefixes allows it", refused.Addr, refused.Addr.BitLen())
	case specialaddr.Special:
		e.advice = "; if it is meant, list it in Guard.AllowPrefixes, or its name in Guard.AllowHosts"
	}
	return e
}

// checkProxied returns a GuardError if proxy must not be asked for what req names: its URL, and, where the proxy forwards the request, its Host.
func (g *guard) checkProxied(req *http.Request, proxy *url.URL) error {
	err := g.checkName(req.URL.Hostname())
	if err != nil || strings.HasPrefix(proxy.Scheme, "socks5") { // net/http takes any other scheme, also none, for an HTTP proxy
		return err
	}
	asked, err := target.ToProxy(req)
	if err != nil {
		return &GuardError{Host: req.URL.Hostname(), Reason: "the proxy would be asked for another URL, which cannot be parsed"}
	}
	return g.checkName(asked.Hostname())
}

// checkName returns a GuardError if a proxy must not be asked for host.
func (g *guard) checkName(host string) error {
	if addr, ok := specialaddr.Literal(host); ok {
		return g.check(host, addr)
	}
	if reason := specialaddr.NameRefusal(host); reason != "" && !g.trusts(host) {
		return &GuardError{Host: host, Reason: reason, advice: ", which a proxy would resolve; if it is meant, list it in Guard.AllowHosts"}
	}
	return nil
}
