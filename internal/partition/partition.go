// Package partition marks requests whose answers must not be mixed with those of others,
// whatever a keying strategy says: answers obtained under another TLS trust, for one.
package partition

import "context"

type contextKey struct{}

// With returns a context whose requests belong to the partition name.
// A partition inside another one belongs to both: the names add up.
// An empty name changes nothing.
func With(ctx context.Context, name string) context.Context {
	if name == "" {
		return ctx
	}
	if outer := Of(ctx); outer != "" {
		name = outer + "\x00" + name
	}
	return context.WithValue(ctx, contextKey{}, name)
}

// Of returns the partition of ctx, or "" for the common one.
func Of(ctx context.Context) string {
	name, _ := ctx.Value(contextKey{}).(string)
	return name
}
