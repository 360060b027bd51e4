// Package partition marks requests whose answers must not be mixed with those of others,
// whatever a keying strategy says: answers obtained under another TLS trust, for one.
package partition

import (
	"context"

	"github.com/plyhttp/ply/internal/scope"
)

// With returns a context whose requests belong to the partition name.
// A partition inside another one belongs to both: the names add up.
// An empty name changes nothing.
func With(ctx context.Context, name string) context.Context {
	if name == "" {
		return ctx
	}
	s := scope.Of(ctx)
	if s.Partition != "" {
		name = s.Partition + "\x00" + name
	}
	s.Partition = name
	return scope.With(ctx, s)
}

// Of returns the partition of ctx, or "" for the common one.
func Of(ctx context.Context) string {
	return scope.Of(ctx).Partition
}
