package resilience_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// fetch returns the body for a GET below the layers. It fails the test for any error.
func fetch(ctx context.Context, t *testing.T, h http.RoundTripper) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(content)
}

// The server never answers the second request, and the layers have no timeout. The limit has no token for the first copy, and must have one for a later one.
func TestSilentRequestIsAnsweredByACopyAlthoughTheLimitRefusedOne(t *testing.T) {
	for name, above := range map[string]func(t *testing.T) []ply.Middleware{
		"alone": func(*testing.T) []ply.Middleware { return nil },
		"below a cache": func(t *testing.T) []ply.Middleware {
			c, err := cache.New(cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return []ply.Middleware{c.Middleware}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := plytest.Text("article", "Cache-Control", "max-age=60")
				origin := plytest.NewOrigin(plytest.Status(http.StatusServiceUnavailable), plytest.Stall(), answer)
				chain, err := resilience.New(resilience.Options{
					Retry: retry.Options{Backoff: retry.Constant(10 * time.Millisecond)},
					Hedge: hedge.Options{Delay: 50 * time.Millisecond},
					Limit: limit.Options{Rate: 20, Burst: 1, InFlight: 10},
				})
				if err != nil {
					t.Fatal(err)
				}
				h := ply.Chain(append(above(t), chain.Layers()...)...)(origin)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // for a test that fails, rather than one that hangs
				defer cancel()
				start := time.Now()
				var callers sync.WaitGroup
				for range 3 { // which a cache makes one
					callers.Go(func() {
						if got := fetch(ctx, t, h); got != "article" {
							t.Errorf("%q after %v", got, time.Since(start))
						}
					})
				}
				callers.Wait()
				synctest.Wait()
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the answer took %v", took)
				}
				if s := chain.Limit.Stats(); s.InFlight != 0 || s.Queued != 0 {
					t.Errorf("%+v", s)
				}
				if s := chain.Budget.Stats(); s.Hedges != chain.Hedge.Stats().Hedges || s.Calls+s.Retries+s.Hedges != int64(origin.Count()) {
					t.Errorf("%+v for %d requests and %+v", s, origin.Count(), chain.Hedge.Stats())
				}
			})
		})
	}
}

// A breaker that is being probed refuses copies. The probe that gets no answer opens it again, and a copy is the next probe.
func TestSilentProbeIsAnsweredByACopyOnceTheBreakerLetsOneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(http.StatusServiceUnavailable), plytest.Stall(), plytest.Text("back"))
		chain, err := resilience.New(resilience.Options{
			Retry:   retry.Options{MaxAttempts: 1},
			Hedge:   hedge.Options{Delay: time.Second},
			Breaker: breaker.Options{MinRequests: 1, OpenFor: 5 * time.Second, ProbeTimeout: 10 * time.Second},
			NoLimit: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		h := ply.Chain(chain.Layers()...)(origin)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // for a test that fails, rather than one that hangs
		defer cancel()
		fetch(ctx, t, h)
		time.Sleep(6 * time.Second)
		if got := fetch(ctx, t, h); got != "back" || chain.Breaker.State("a.test") != breaker.Closed {
			t.Errorf("%q, and the breaker is %v", got, chain.Breaker.State("a.test"))
		}
		if s := chain.Budget.Stats(); s.Hedges != 1 || origin.Count() != 3 {
			t.Errorf("%+v for %d requests", s, origin.Count())
		}
	})
}

// A retry that meets a breaker which its first attempt has opened, or a caller who gave up before it, has sent nothing, and costs nothing.
func TestRetryThatWasNotSentIsRefunded(t *testing.T) {
	for name, o := range map[string]resilience.Options{
		"the breaker has opened":    {Breaker: breaker.Options{MinRequests: 1}, NoLimit: true},
		"the caller gave up before": {Retry: retry.Options{Backoff: retry.Constant(time.Hour)}, NoBreaker: true},
		"the limit has no room":     {NoBreaker: true, Limit: limit.Options{Rate: 0.001, MaxWait: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Status(http.StatusServiceUnavailable))
				chain, err := resilience.New(o)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute, cancel)
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/", nil)
				if resp, err := ply.Chain(chain.Layers()...)(origin).RoundTrip(req); err == nil {
					resp.Body.Close()
				}
				if s := chain.Budget.Stats(); s.Retries != 0 || s.Amplification != 1 || chain.Budget.Tokens("a.test") != 20 || origin.Count() != 1 {
					t.Errorf("%+v, %v tokens, %d requests", s, chain.Budget.Tokens("a.test"), origin.Count())
				}
			})
		})
	}
}
