// Package layer has what the handlers of this module have in common.
package layer

import (
	"context"
	"errors"
	"net/http"

	"github.com/plyhttp/ply/note"
)

// Base is the part of a handler that says who it is and leads past it. State is what several handlers may share.
type Base struct {
	Name  string
	Next  http.RoundTripper
	State any
}

// Over returns the Base of a handler above next; nil stands for [http.DefaultTransport].
func Over(next http.RoundTripper, name string, state any) Base {
	if next == nil {
		next = http.DefaultTransport
	}
	return Base{Name: name, Next: next, State: state}
}

// LayerName is the name that ply.Layers shows.
func (b *Base) LayerName() string { return b.Name }

// LayerID lets ply.New refuse a chain with the same state in it twice.
func (b *Base) LayerID() any { return b.State }

// Unwrap returns the next handler.
func (b *Base) Unwrap() http.RoundTripper { return b.Next }

// WrappedRoundTripper returns it, too, for Kubernetes.
func (b *Base) WrappedRoundTripper() http.RoundTripper { return b.Next }

// CloseIdleConnections closes those of the next handler.
func (b *Base) CloseIdleConnections() {
	if c, ok := b.Next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Host is the key of a request if its options say nothing else: host and port of the URL.
func Host(req *http.Request) string {
	if req.URL == nil {
		return ""
	}
	return req.URL.Host
}

// OutOfTime reports whether a deadline ended ctx, or whatever has an error of its own for that: a context made with a cause of its own has both.
func OutOfTime(ctx context.Context) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// Refuse closes the body of a request that is not handed on, and tells its call why.
func Refuse(req *http.Request, n note.Note) {
	if req.Body != nil {
		req.Body.Close()
	}
	note.Tell(req.Context(), n)
}

// Or returns v, or what zero means.
func Or[T comparable](v, zeroMeans T) T {
	var zero T
	if v == zero {
		return zeroMeans
	}
	return v
}
