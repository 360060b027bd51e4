package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// A strategy may take different URIs for the same resource: with parameters that it ignores, or hosts that are mirrors. What is stored for one of them
// is served for the others, so what invalidates one invalidates all (RFC 9111 §4.4). An entry therefore has the tag of that resource beside the tag of its URI.

// aliased returns r, or a request for the origin that the strategy uses in place of r's.
func (c *Cache) aliased(r *http.Request) *http.Request {
	if s, ok := c.key.(interface {
		Aliased(*http.Request) *http.Request
	}); ok {
		return s.Aliased(r)
	}
	return r
}

// A mirrorer is a strategy that may take several hosts for one.
type mirrorer interface {
	// Mirrors returns requests for the same resource at the other hosts.
	Mirrors(*http.Request) []*http.Request
}

// mirrors returns requests for the same resource at the hosts that the strategy takes for r's.
func (c *Cache) mirrors(r *http.Request) []*http.Request {
	if s, ok := c.key.(mirrorer); ok {
		return s.Mirrors(r)
	}
	return nil
}

// located resolves a field that holds a URI reference. It returns a request for that URI, or nil if it has another origin, in the strategy's eyes, too.
func (c *Cache) located(r *http.Request, lines []string) *http.Request {
	if same := rfc9111.SameOrigin(r, lines); same != nil {
		return same
	}
	u := rfc9111.Resolved(r, lines)
	if u == nil {
		return nil
	}
	other := *r
	other.Method, other.URL, other.Host = http.MethodGet, u, ""
	alias := func(r *http.Request) string { return string(target.AppendOrigin(nil, c.aliased(target.Normal(r)))) }
	if alias(&other) != alias(r) {
		return nil
	}
	return &other
}
