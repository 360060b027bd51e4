package ply

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/internal/redact"
)

const defaultMaxRedirects = 10

// MaxRedirects lets a request follow n redirects at most; one more is a [*RedirectError].
// Without it the limit is 10. n must be positive: see [NoRedirects].
func MaxRedirects(n int) RequestOption {
	return RequestOption{func(d *draft) error {
		if n <= 0 {
			return &OptionError{Option: "MaxRedirects", Reason: "must be positive; NoRedirects follows none"}
		}
		d.settings.maxRedirects = n
		return nil
	}}
}

// NoRedirects hands a redirect to the caller as it came, its body unread.
func NoRedirects() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.maxRedirects = noRedirects
		return nil
	}}
}

// RedirectError says that an answer was yet another redirect when the limit was reached.
type RedirectError struct {
	// Limit is the number of redirects that were allowed.
	Limit int

	// Response is the redirect that was not followed, its body closed.
	// Its history, by way of Request.Response, is whole.
	Response *http.Response
}

func (e *RedirectError) Error() string {
	if e.Limit == 1 {
		return "ply: stopped after 1 redirect"
	}
	return fmt.Sprintf("ply: stopped after %d redirects", e.Limit)
}

// checkRedirect is the redirect policy of every [Client]; req is the next hop, via the requests so far.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	limit := c.defaults.settings.maxRedirects
	if s := settingsOf(req.Context()); s != nil {
		limit = s.maxRedirects
	}
	switch {
	case limit == noRedirects:
		return http.ErrUseLastResponse
	case limit == 0:
		limit = defaultMaxRedirects
	}
	if len(via) > limit {
		return &RedirectError{Limit: limit, Response: req.Response}
	}
	if !sameOrigin(req.URL, via[len(via)-1].URL) {
		trimReferer(req)
	}
	if !staysAtOrigin(req) {
		dropCredentials(req)
	}
	return nil
}

// staysAtOrigin is whether no redirect has led req away from the origin of its first request, not even for a while.
func staysAtOrigin(req *http.Request) bool {
	origin := firstRequest(req).URL
	for req.Response != nil && req.Response.Request != nil {
		if !sameOrigin(req.URL, origin) {
			return false
		}
		req = req.Response.Request
	}
	return true
}

// firstRequest is the request that the redirects before req began with.
func firstRequest(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// dropCredentials goes further than net/http, which compares host names only and lets subdomains, other ports,
// and fields like X-Api-Key pass.
func dropCredentials(req *http.Request) {
	for name := range req.Header {
		if redact.SecretHeader(name) {
			delete(req.Header, name)
		}
	}
}

// trimReferer leaves the origin of a Referer that goes to another one: paths and queries may hold secrets.
func trimReferer(req *http.Request) {
	if ref, err := url.Parse(req.Header.Get("Referer")); err == nil && ref.Host != "" {
		req.Header.Set("Referer", ref.Scheme+"://"+ref.Host+"/")
	}
}

// sameOrigin compares scheme, host and port (RFC 6454 §4).
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) &&
		portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	switch strings.ToLower(u.Scheme) {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
