package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

const endpointKind = 'e' // the tag of what is stored for an endpoint

// mutationsOf returns a strategy's function that recognizes mutations, or nil if it does not read GraphQL.
func mutationsOf(s keying.Strategy) func(*http.Request) bool {
	g, ok := s.(interface {
		ReadsGraphQL() bool
		Mutates(*http.Request) bool
	})
	if !ok || !g.ReadsGraphQL() {
		return nil
	}
	return g.Mutates
}

// changes reports whether an answer with this status makes stored responses invalid: because of the request's method, or because Options.Unsafe or the strategy says so.
func (x *exchange) changes(status int) bool {
	c, r := x.cache, x.request
	switch {
	case rfc9111.Invalidates(r.Method, status, &c.policy):
		return true
	case x.parsed.Override && status >= 200 && status < 400 && !rfc9111.OverridesSafely(r.Header):
		return true
	case rfc9111.Safe(r.Method), status < 200, status >= 400:
		return false
	case c.unsafe != nil:
		return c.unsafe(r)
	}
	return x.ownKey == "" && c.mutates != nil && c.mutates(r) // what has a key is no mutation
}

// keepOutUnsafe has a request bypass the store if Options.Unsafe says that it is unsafe.
func (c *Cache) keepOutUnsafe(a *rfc9111.Request, r *http.Request) {
	if c.unsafe != nil && a.Bypass == "" && !rfc9111.Safe(r.Method) && c.unsafe(r) {
		a.SetBypass(rfc9111.UnsafeBypass, cachestatus.FwdMethod)
	}
}
