// Package urltemplate carries the template of a URL's path, such as "/users/{id}", in the context of its request.
package urltemplate

import "context"

type key struct{}

// With returns a context whose requests have URLs made of the template.
func With(ctx context.Context, template string) context.Context {
	return context.WithValue(ctx, key{}, template)
}

// Of returns the template, "" for none.
func Of(ctx context.Context) string {
	t, _ := ctx.Value(key{}).(string)
	return t
}
