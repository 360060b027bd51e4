package redact

import "context"

type key struct{}

// With returns a context for whose requests r decides what may be shown: in logs, spans, records and errors,
// unless the layer that writes them was given a redactor of its own. It is never sent to the server. Nil stands for the default.
func With(ctx context.Context, r *Redactor) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the redactor of ctx, as for a hook that wants to show a request: nil, which hides all that may be secret, if there is none.
func From(ctx context.Context) *Redactor {
	r, _ := ctx.Value(key{}).(*Redactor)
	return r
}

// HasRedactor tells whether ctx has a redactor: see [With].
func HasRedactor(ctx context.Context) bool {
	_, chosen := ctx.Value(key{}).(*Redactor)
	return chosen
}
