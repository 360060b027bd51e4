// Package scope carries what layers have to know of a request in its context.
//
// Each look into a context walks all of it. What is looked for in every request stands under one key, so that one walk finds it.
package scope

import "context"

// A Scope is what the contexts around a request have said. The zero Scope is that of a request about which nothing was said.
type Scope struct {
	Connection any    // what a client has chosen for its connection; see package connection, whose type it is
	Principal  string // a hash of the name under which the program makes the request, or empty; see cache.WithPrincipal
	Cache      any    // the cache's choices, whose type is its own
}

type contextKey struct{}

// With returns a context with s in the place of what is in scope.
func With(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, contextKey{}, &s)
}

// Of returns what is in scope.
func Of(ctx context.Context) Scope {
	if s, ok := ctx.Value(contextKey{}).(*Scope); ok {
		return *s
	}
	return Scope{}
}
