package ecosystem

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// failsafe-go's timeout below retry ends one attempt, and the next one may succeed.
func TestFailsafeTimeoutBelowRetry(t *testing.T) {
	var slow atomic.Bool
	slow.Store(true)
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if slow.Swap(false) {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "in time")
	})
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{eager(3), func(next http.RoundTripper) http.RoundTripper {
		return failsafehttp.NewRoundTripper(next, timeout.New[*http.Response](100*time.Millisecond))
	}}})
	resp, err := client.Get(t.Context(), "/")
	same(t, "body", textOf(t, resp, err), "in time")
	origin.saw(t, 2)
}

// A POST that failsafe-go's timeout ended may have arrived: it is sent once, and the error says what struck.
func TestFailsafeTimeoutOfAPost(t *testing.T) {
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{eager(3), func(next http.RoundTripper) http.RoundTripper {
		return failsafehttp.NewRoundTripper(next, timeout.New[*http.Response](100*time.Millisecond))
	}}})
	err := ply.Discard(client.Post(t.Context(), "/", ply.BodyString("order")))
	if !errors.Is(err, timeout.ErrExceeded) {
		t.Errorf("the error is %v, want failsafe's", err)
	}
	origin.saw(t, 1)
}

var errStatus = errors.New("the server answered 500 or more")

// breaking makes a layer of a breaker, for which a status of 500 or more is a failure, too.
func breaking(breaker *gobreaker.CircuitBreaker[*http.Response]) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := breaker.Execute(func() (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil && resp.StatusCode >= 500 {
					return resp, errStatus
				}
				return resp, err
			})
			if errors.Is(err, errStatus) {
				return resp, nil
			}
			return resp, err
		})
	}
}

// A breaker of gobreaker is a layer of a few lines. Once it is open the origin has peace, and stale answers are served.
func TestGobreakerBelowTheCache(t *testing.T) {
	var down atomic.Bool
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=600")
		w.Header().Set("Etag", `"v1"`)
		io.WriteString(w, "good")
	})
	breaker := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
	})
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{newCache(t, cache.Options{}).Middleware, breaking(breaker)}})
	resp, err := client.Get(t.Context(), "/")
	same(t, "body", textOf(t, resp, err), "good")
	down.Store(true)
	for range 10 {
		resp, err := client.Get(t.Context(), "/")
		same(t, "body while the origin is down", textOf(t, resp, err), "good")
	}
	origin.saw(t, 4) // one good answer and three failures
	same(t, "the breaker", breaker.State(), gobreaker.StateOpen)
}

// x/time/rate: a wait that cannot end before the deadline is a timeout, not an error to try again.
func TestRateLimiterBelowRetry(t *testing.T) {
	origin := serve(t, fresh("hello"))
	limiter := rate.NewLimiter(rate.Every(time.Hour), 1)
	var asked atomic.Int64
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{eager(3), func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			if err := limiter.Wait(r.Context()); err != nil {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}}})
	resp, err := client.Get(t.Context(), "/")
	textOf(t, resp, err)
	if err := ply.Discard(client.Get(t.Context(), "/", ply.Timeout(time.Minute))); err == nil {
		t.Error("no error though the limit is used up")
	}
	origin.saw(t, 1)
	if n := asked.Load(); n > 4 {
		t.Errorf("the limiter was asked %d times", n)
	}
	_ = retry.DefaultRule
}
