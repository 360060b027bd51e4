package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/target"
)

// origins are those that credentials may go to.
type origins []origin

// An origin is a scheme, a host and a port (RFC 9110 §4.3.1), in the form of package target.
type origin struct {
	scheme, authority string
	subdomains        bool // of authority, which begins with a dot, and not that itself
}

func parseOrigins(texts []string) (origins, error) {
	if len(texts) == 0 {
		return nil, optionError("Origins", `is empty: name each origin that may get the credentials, as "https://api.example.com"`)
	}
	var all origins
	for i, text := range texts {
		o, why := parseOrigin(text)
		if why != "" {
			return nil, optionError(fmt.Sprintf("Origins[%d]", i), why)
		}
		all = append(all, o)
	}
	return all, nil
}

// parseOrigin does not quote the text, which may be a URL with secrets.
func parseOrigin(text string) (o origin, why string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return o, `is no URL: give an origin, as "https://api.example.com"`
	case u.Scheme != "https" && u.Scheme != "http":
		return o, `is neither http nor https: give an origin, as "https://api.example.com"`
	case u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return o, `is more or less than an origin: give scheme, host and perhaps a port, as "https://api.example.com"`
	}
	o = origin{scheme: u.Scheme, authority: target.NormalAuthority(u.Scheme, u.Host)}
	host, wild := strings.CutPrefix(o.authority, "*")
	switch {
	case strings.Contains(host, "*"), wild && !strings.HasPrefix(host, "."): // "*example.co.uk" would let in badexample.co.uk
		return o, `has a star that is not its first label: give "https://*.example.com" for all subdomains`
	case wild && strings.Count(strings.TrimSuffix(host, "."), ".") < 2:
		return o, `lets in too many hosts: give "https://*.example.com" for the subdomains of one domain`
	case wild:
		o.authority, o.subdomains = host, true
	}
	return o, ""
}

// sentTo reports whether a request goes to one of the origins alone: both the server that its URL names and the one
// that a proxy would forward it to, which its Host names.
func (all origins) sentTo(req *http.Request) bool {
	if !all.have(req.URL) {
		return false
	}
	asked, err := target.ToProxy(req)
	return err == nil && (asked == req.URL || all.have(asked))
}

func (all origins) have(u *url.URL) bool {
	if u == nil || u.Host == "" {
		return false
	}
	scheme := strings.ToLower(u.Scheme)
	authority := target.NormalAuthority(scheme, u.Host)
	return slices.ContainsFunc(all, func(o origin) bool {
		switch {
		case o.scheme != scheme:
			return false
		case o.subdomains:
			return strings.HasSuffix(authority, o.authority) && len(authority) > len(o.authority)
		}
		return o.authority == authority
	})
}
