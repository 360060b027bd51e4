package cache

import (
	"net/http"

	"github.com/plyhttp/ply/keying"
)

// A GraphQL mutation has the method of a query, which the user lets be answered from the store. It is unsafe all the same,
// and what it changes may be in the answer to any query of its endpoint: that is the URI without its query.

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
	case invalidates(r.Method, status, &c.posture):
		return true
	case x.ask.override && status >= 200 && status < 400 && !overridesSafely(r.Header):
		return true
	case safe(r.Method), status < 200, status >= 400:
		return false
	case c.unsafe != nil:
		return c.unsafe(r)
	}
	return x.own == "" && c.mutates != nil && c.mutates(r) // what has a key is no mutation
}

// unsafeBypass is the reason for which a request keeps out of the store whose method could be answered from it.
const unsafeBypass = "unsafe"

// keepOutUnsafe keeps a request away from the store that the user says is unsafe.
func (c *Cache) keepOutUnsafe(a *ask, r *http.Request) {
	if c.unsafe != nil && a.bypass == "" && !safe(r.Method) && c.unsafe(r) {
		a.keepOut(unsafeBypass, ForwardMethod)
	}
}

// endpointTags appends the tags of what is stored for the endpoint of a request, if the strategy reads GraphQL.
func (c *Cache) endpointTags(tags []tag, r *http.Request) []tag {
	if c.mutates == nil {
		return tags
	}
	bare := withoutQuery(r)
	return c.resourceTags(append(tags, kindTag(endpointKind, bare)), endpointKind, bare)
}

// knownTags are those that can be told of the answer to a request before it is there.
func (c *Cache) knownTags(r *http.Request) []tag {
	return withPrincipal(r.Context(), c.endpointTags(c.tagsOf(r), r))
}
