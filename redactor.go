package ply

import (
	"context"

	"github.com/plyhttp/ply/internal/urltemplate"
	"github.com/plyhttp/ply/redact"
)

// Redactor decides what may be shown of requests, responses and errors; its fields and methods are those of [redact.Redactor].
// Nil and the zero value hide all that may be secret.
//
// Options.Redactor is one for all that a client says: logs, spans and records of its calls, [*StatusError], [*url.Error] and the error of the retry layer.
type Redactor = redact.Redactor

// WithRedactor returns a context for whose requests r decides what may be shown, whatever client sends them, unless a layer was given one of its own.
// It wins over Options.Redactor. Nil stands for the default.
func WithRedactor(ctx context.Context, r *Redactor) context.Context { return redact.With(ctx, r) }

// RedactorOf returns the redactor that applies to the requests of ctx, for hooks that show a request. Nil can be used: it is the default.
//
//	OnRetry: func(ctx context.Context, e retry.Event) {
//		fmt.Println("again:", ply.RedactorOf(ctx).URL(e.Attempt.Request.URL))
//	}
func RedactorOf(ctx context.Context) *Redactor { return redact.From(ctx) }

// WithURLTemplate returns a context whose requests have URLs made of a template, such as "/users/{id}". Logs, spans and metrics show it as url.template,
// so that requests for many users are told from requests for something else. Its values must be few: it names a series of metrics.
// [PathValue] does it by itself.
func WithURLTemplate(ctx context.Context, template string) context.Context {
	return urltemplate.With(ctx, template)
}

// URLTemplate returns the template of the URLs of the requests of ctx, "" if there is none.
func URLTemplate(ctx context.Context) string { return urltemplate.Of(ctx) }
