// Package stack walks through handlers that wrap each other, from the outermost to the transport. It is the one place that knows
// by which methods a handler shows what it wraps, and that ends a walk which would not end by itself.
package stack

import "net/http"

// Limit is how many handlers one walk looks at. A stack whose Unwrap leads back into itself has no end.
const Limit = 1000

// Walk calls visit with h, and then with each handler that the call before returned, until that is nil or left is used up.
// A walk that forks gives the same left, which begins at [Limit], to each of its branches, so that forks within forks stay within the limit, too.
func Walk(h http.RoundTripper, left *int, visit func(h http.RoundTripper) (next http.RoundTripper)) {
	for h != nil && *left > 0 {
		*left-- // before visit, which may fork
		h = visit(h)
	}
}

// Next returns the handler that h wraps, by its method Unwrap or WrappedRoundTripper, or nil if h has neither.
// Kubernetes' libraries know the second.
func Next(h http.RoundTripper) http.RoundTripper {
	switch w := h.(type) {
	case interface{ Unwrap() http.RoundTripper }:
		return w.Unwrap()
	case interface{ WrappedRoundTripper() http.RoundTripper }:
		return w.WrappedRoundTripper()
	}
	return nil
}
