package cache

import (
	"net/http"
	"sync"

	"github.com/plyhttp/ply/internal/connection"
)

// Middleware mounts the cache before next. Nil means [http.DefaultTransport].
// Answers that come over different connections are kept apart: with the first request, or the first [Cache.Delete] or [Cache.Contains], the cache looks
// through next (by Unwrap or WrappedRoundTripper) for the transport. Its TLS configuration, proxy and dialer must not change after that.
// See [NamedConnection] for what cannot be named.
func (c *Cache) Middleware(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	l := &layer{cache: c, next: next, below: sync.OnceValue(func() *connection.Chain { return c.mounts.under(next) })}
	c.mounts.add(l)
	return l
}

// layer is a cache's place in one chain.
type layer struct {
	cache *Cache
	next  http.RoundTripper
	below func() *connection.Chain // what next ends in; it is looked at once, with the first request
}

// LayerName returns "cache".
func (l *layer) LayerName() string { return "cache" }

// LayerID returns the cache, which must not stand in one chain twice.
func (l *layer) LayerID() any { return l.cache }

// Unwrap returns the next handler.
func (l *layer) Unwrap() http.RoundTripper { return l.next }

// WrappedRoundTripper returns the next handler, under the name that Kubernetes' libraries look for.
func (l *layer) WrappedRoundTripper() http.RoundTripper { return l.next }

// CloseIdleConnections closes the idle connections of the next handler.
func (l *layer) CloseIdleConnections() {
	if next, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}
