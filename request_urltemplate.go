package ply

import (
	"context"

	"github.com/plyhttp/ply/internal/reqctx"
)

// WithURLTemplate returns a context that names the template of its requests' URLs, such as "/users/{id}". Logs, spans and metrics show it as url.template,
// so that requests for many users count as one kind. Use few templates, because each names a series of metrics.
// [PathValue] sets the template by itself.
func WithURLTemplate(ctx context.Context, template string) context.Context {
	return reqctx.WithURLTemplate(ctx, template)
}

// URLTemplate returns the template of the URLs of ctx's requests, or "" if there is none.
func URLTemplate(ctx context.Context) string { return reqctx.URLTemplate(ctx) }

// withTemplate sets the template of a request, unless its caller has set one.
func withTemplate(ctx context.Context, template string) context.Context {
	if template == "" || reqctx.URLTemplate(ctx) != "" {
		return ctx
	}
	return reqctx.WithURLTemplate(ctx, template)
}
