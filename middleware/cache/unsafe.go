package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

const endpointKind = 'e' // the tag of what is stored for an endpoint

// mutationsOf asks a strategy how it tells mutations, if it reads GraphQL.
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

// changes reports whether an answer to an exchange makes stored responses invalid: by its method, or as the user has it for one that is answered from the store.
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

// keepOutUnsafe keeps a request away from the store that the user says is unsafe.
func (c *Cache) keepOutUnsafe(a *rfc9111.Request, r *http.Request) {
	if c.unsafe != nil && a.Bypass == "" && !rfc9111.Safe(r.Method) && c.unsafe(r) {
		a.SetBypass(rfc9111.UnsafeBypass, cachestatus.FwdMethod)
	}
}
