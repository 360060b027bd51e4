package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// A strategy may take different URIs for one: with parameters that it ignores, or hosts that are mirrors. What one of them has stored is served for the others,
// so what ends one ends all (RFC 9111 §4.4). Beside the tag of its own URI an entry therefore has one of what the strategy makes of that, if it is something else.

// aliased returns r, or a request for the origin that the strategy takes r's for.
func (c *Cache) aliased(r *http.Request) *http.Request {
	if s, ok := c.key.(interface {
		Aliased(*http.Request) *http.Request
	}); ok {
		return s.Aliased(r)
	}
	return r
}

// mirrors returns requests for the same by other hosts that the strategy takes for r's.
func (c *Cache) mirrors(r *http.Request) []*http.Request {
	if s, ok := c.key.(interface {
		Mirrors(*http.Request) []*http.Request
	}); ok {
		return s.Mirrors(r)
	}
	return nil
}

// located resolves a field that holds a URI reference. It returns a request for that URI, or nil if the origin is one that the strategy, too, takes for another.
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
