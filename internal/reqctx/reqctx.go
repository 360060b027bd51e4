// Package reqctx carries what layers know of a request in the request's context: what a caller or a client has chosen for it,
// the record of the call that it belongs to, and the template of its URL.
package reqctx

import (
	"context"

	"github.com/plyhttp/ply/internal/attempt"
)

// Values are the choices that every cached request looks for. They share one context key, because each look-up walks the whole context.
// The zero Values are those of a request for which nothing was chosen.
type Values struct {
	Connection any         // a *connection.Choice: what a client has chosen for the request's connection, or nil
	Principal  string      // a hash of the name under which the program makes the request, or ""; see cache.WithPrincipal
	Cache      any         // the cache's choices, whose type is its own, or nil
	Unnamed    bool        // Principal is that of a credential whose owner the program has not named
	Credential *Credential // what layers have added for principals that they name: the innermost, or nil
	Unsigned   bool        // signers below a cache leave the request as it is, so that its answer is not that of their principal; see auth.Disable
	PaidFor    bool        // a budget has paid for the request, which is sent beside the calls and is none itself

	// Signatures hears of what signers below a cache add to the request, or is nil.
	Signatures SignatureWatch
}

type valuesKey struct{}

// With returns a context whose values are v, in the place of those that ctx has.
func With(ctx context.Context, v Values) context.Context {
	return context.WithValue(ctx, valuesKey{}, &v)
}

// Context is what With returns, for callers that have room for it in something of their own: Fill allocates nothing.
type Context struct {
	context.Context
	values Values
}

// Fill makes c a context whose values are v, in the place of those that ctx has. It is called once, before c is used.
func (c *Context) Fill(ctx context.Context, v Values) { c.Context, c.values = ctx, v }

// Value returns the values of c, and everything else from the context that it was made of.
func (c *Context) Value(key any) any {
	if key == (valuesKey{}) {
		return &c.values
	}
	return c.Context.Value(key)
}

// From returns the values of ctx. It allocates nothing.
func From(ctx context.Context) Values {
	if v, ok := ctx.Value(valuesKey{}).(*Values); ok {
		return *v
	}
	return Values{}
}

type recordKey struct{}

// WithRecord returns a context whose requests are noted in part, which is a part of the record of a call. Its type is the root package's own.
func WithRecord(ctx context.Context, part any) context.Context {
	return &RecordContext{ctx, part}
}

// RecordContext is what WithRecord returns, for callers that have room for it in something of their own: Fill allocates nothing.
type RecordContext struct {
	context.Context
	part any
}

// Fill makes c a context whose requests are noted in part. It is called once, before c is used.
func (c *RecordContext) Fill(ctx context.Context, part any) { c.Context, c.part = ctx, part }

// Value returns the part of c, and everything else from the context that it was made of.
func (c *RecordContext) Value(key any) any {
	if key == (recordKey{}) {
		return c.part
	}
	return c.Context.Value(key)
}

// String is what fmt prints for the context.
func (c *RecordContext) String() string { return "reqctx.RecordContext" }

// Record returns the part that the requests of ctx are noted in, or nil if their call is not recorded.
func Record(ctx context.Context) any { return ctx.Value(recordKey{}) }

// InBackground returns a context for what a layer does after the caller has its response, such as a refresh.
// That is not part of the caller's call: neither the call's record nor its tallies of attempts show it.
func InBackground(ctx context.Context) context.Context {
	if Record(ctx) != nil {
		ctx = WithRecord(ctx, nil)
	}
	return attempt.WithoutTally(ctx)
}

type templateKey struct{}

// WithURLTemplate returns a context whose requests have URLs made of the template, such as "/users/{id}".
func WithURLTemplate(ctx context.Context, template string) context.Context {
	return context.WithValue(ctx, templateKey{}, template)
}

// URLTemplate returns the template of the URLs of ctx's requests, or "" if there is none.
func URLTemplate(ctx context.Context) string {
	t, _ := ctx.Value(templateKey{}).(string)
	return t
}
