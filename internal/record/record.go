// Package record carries the record of a call in the contexts of its requests. What it is made of only the root package knows.
package record

import (
	"context"

	"github.com/plyhttp/ply/internal/attempt"
)

type key struct{}

// With returns a context whose requests are recorded in part.
func With(ctx context.Context, part any) context.Context { return context.WithValue(ctx, key{}, part) }

// Of returns what With was given, nil for nothing.
func Of(ctx context.Context) any { return ctx.Value(key{}) }

// Behind returns a context for what a layer does behind the back of a caller who has its answer already:
// it is no part of that call, neither for its record nor for its tallies of attempts.
func Behind(ctx context.Context) context.Context {
	if Of(ctx) != nil {
		ctx = With(ctx, nil)
	}
	return attempt.WithoutTally(ctx)
}
