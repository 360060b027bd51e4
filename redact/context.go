package redact

import "context"

type key struct{}

// With returns a context whose requests use r: in logs, spans, records and errors,
// unless the layer that writes them has a redactor in its options. A nil r hides everything that may be secret. Nothing of it is sent to the server.
func With(ctx context.Context, r *Redactor) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the redactor of ctx, or nil, which hides everything that may be secret. A hook shows a request with From(ctx).URL(req.URL).
func From(ctx context.Context) *Redactor {
	r, _ := ctx.Value(key{}).(*Redactor)
	return r
}

// HasRedactor reports whether ctx has a redactor, even a nil one; see [With].
func HasRedactor(ctx context.Context) bool {
	_, chosen := ctx.Value(key{}).(*Redactor)
	return chosen
}
