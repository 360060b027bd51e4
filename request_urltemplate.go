package ply

import (
	"context"

	"github.com/plyhttp/ply/internal/reqctx"
)

// WithURLTemplate returns a context whose requests have URLs made of a template, such as "/users/{id}". Logs, spans and metrics show it as url.template,
// so that requests for many users are told from requests for something else. Its values must be few: it names a series of metrics.
// [PathValue] does it by itself.
func WithURLTemplate(ctx context.Context, template string) context.Context {
	return reqctx.WithURLTemplate(ctx, template)
}

// URLTemplate returns the template of the URLs of the requests of ctx, "" if there is none.
func URLTemplate(ctx context.Context) string { return reqctx.URLTemplate(ctx) }

// withTemplate names the template of a request, unless its caller has.
func withTemplate(ctx context.Context, template string) context.Context {
	if template == "" || reqctx.URLTemplate(ctx) != "" {
		return ctx
	}
	return reqctx.WithURLTemplate(ctx, template)
}
