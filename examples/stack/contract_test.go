package main

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
)

// All layers together keep the contract of each. The breaker is not to open within a rule, or its later calls would meet it.
func TestContractOfAllLayersTogether(t *testing.T) {
	plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
		store, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return &closing{ply.Chain(append([]ply.Middleware{
			logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}),
			auth.New(auth.Options{Source: auth.SourceFunc(newToken), Origins: []string{"http://*.test"}}),
			decode.New(decode.Options{}),
			store.Middleware,
		}, resilience.Standard(resilience.Options{
			Hedge:   hedge.Options{Delay: time.Millisecond},
			Breaker: breaker.Options{MinRequests: 10_000},
		})...)...)(next), store}
	})
}

// closing closes the cache at the end of a rule.
type closing struct {
	http.RoundTripper
	store *cache.Cache
}

func (c *closing) Close() error { return c.store.Close() }

func (c *closing) CloseIdleConnections() {
	c.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}
