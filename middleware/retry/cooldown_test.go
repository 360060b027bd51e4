package retry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/internal/unavailable"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestCoolDownIsWaitedOutByAllCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Since(began(t)) < 10*time.Second {
				w.Header().Set("Retry-After", "10")
				w.WriteHeader(429)
			}
		}))
		began(t)
		layer := retry.New(retry.Options{CoolDown: true})(origin)
		first := make(chan struct{})
		go func() {
			defer close(first)
			resp, err := layer.RoundTrip(newRequest(t, "GET"))
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%v, %v", resp, err)
			}
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		var mu sync.Mutex
		waits := map[time.Duration]bool{}
		for range 100 {
			wg.Go(func() {
				resp, err := layer.RoundTrip(newRequest(t, "POST"))
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("%v, %v", resp, err)
					return
				}
				info, _ := retry.InfoFrom(resp)
				if w := info.Attempts[0].Wait; w < 10*time.Second || w > 11*time.Second || len(info.Attempts) != 1 {
					t.Errorf("attempts %+v", info.Attempts)
				}
				mu.Lock()
				defer mu.Unlock()
				waits[info.Attempts[0].Wait] = true
			})
		}
		wg.Wait()
		<-first
		if len(waits) < 50 {
			t.Errorf("100 calls come back in %d moments", len(waits))
		}
		if origin.Count() != 102 {
			t.Errorf("%d requests for 101 calls and one refusal", origin.Count())
		}
		start := time.Now()
		if _, err := do(t, retry.Options{CoolDown: true}, origin, newRequest(t, "GET")); err != nil || time.Since(start) != 0 {
			t.Errorf("after the cool-down: %v, %s", err, time.Since(start))
		}
	})
}

// What the server asks for while a call waits counts for that call, too.
func TestCoolDownThatGrowsIsWaitedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sent []time.Duration
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, time.Since(began(t)))
			resp := &http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody, Request: r}
			switch r.Method {
			case "GET":
				resp.Header.Set("Retry-After", "10")
			case "PUT": // has been under way since before
				time.Sleep(5 * time.Second)
				resp.Header.Set("Retry-After", "40")
			default:
				resp.StatusCode = 200
			}
			return resp, nil
		}))
		go layer.RoundTrip(newRequest(t, "PUT"))
		synctest.Wait()
		for _, method := range []string{"GET", "HEAD"} {
			resp, err := layer.RoundTrip(newRequest(t, method))
			if err != nil {
				t.Fatal(err)
			}
			if info, _ := retry.InfoFrom(resp); method == "HEAD" && info.Attempts[0].Wait != time.Since(began(t)) {
				t.Errorf("the call says that it waited %v", info.Attempts[0].Wait)
			}
		}
		if len(sent) != 3 || sent[2] < 45*time.Second || sent[2] > 50*time.Second {
			t.Errorf("sent after %v", sent)
		}
	})
}

// began is when the bubble's clock began.
func began(t *testing.T) time.Time {
	t.Helper()
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
}

func TestCoolDownThatDoesNotFitFailsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late, cancelLate := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancelLate()
		for _, tt := range []struct {
			name     string
			asked    time.Duration
			ctx      context.Context
			deadline bool
		}{
			{"caller's deadline", 30 * time.Second, short, true},
			{"more than MaxRetryAfter", time.Hour, t.Context(), false},
			{"more than MaxRetryAfter, before a later deadline", time.Hour, late, false},
		} {
			origin := plytest.NewOrigin(plytest.RetryIn(503, tt.asked))
			layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(origin)
			resp, err := layer.RoundTrip(newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			body := &closes{Reader: strings.NewReader("x")}
			req := newRequest(t, "POST").WithContext(tt.ctx)
			req.Body = body
			_, err = layer.RoundTrip(req)
			var gone *retry.CoolDownError
			if !errors.As(err, &gone) || gone.Key != "example.com" || origin.Count() != 1 || body.n != 1 {
				t.Errorf("%s: %v after %d requests, body closed %d times", tt.name, err, origin.Count(), body.n)
			}
			if down, _ := unavailable.Origin(fmt.Errorf("wrapped: %w", err)); errors.Is(err, context.DeadlineExceeded) != tt.deadline || !down {
				t.Errorf("%s: %#v", tt.name, err)
			}
			other := newRequest(t, "GET")
			other.URL.Host = "example.org"
			if resp, err := layer.RoundTrip(other); err != nil || resp.StatusCode != 503 {
				t.Errorf("%s: another host: %v, %v", tt.name, resp, err)
			}
		}
	})
}

func TestLongerOfTwoCoolDownsCounts(t *testing.T) {
	long, short := plytest.RetryIn(429, 30*time.Second), plytest.RetryIn(503, time.Second)
	for _, script := range [][]plytest.Reply{{long, short, plytest.Text("hello")}, {short, long, plytest.Text("hello")}} {
		script[1].Wait = time.Second // so that it comes second
		longerOfTwoCoolDownsCounts(t, script)
	}
}

func longerOfTwoCoolDownsCounts(t *testing.T, script []plytest.Reply) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Latency: time.Second, Script: script}
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(origin)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if resp, err := layer.RoundTrip(newRequest(t, "GET")); err == nil {
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		start := time.Now()
		resp, err := layer.RoundTrip(newRequest(t, "GET"))
		if err != nil || time.Since(start) < 29*time.Second {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		resp.Body.Close()
	})
}

func TestCoolDownCanBeCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(plytest.NewOrigin(plytest.RetryIn(429, 30*time.Second)))
		resp, err := layer.RoundTrip(newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err = layer.RoundTrip(newRequest(t, "GET").WithContext(ctx))
		if !errors.Is(err, context.Canceled) || stopOf(t, err) != retry.StopCanceled || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestCanceledWaitReportsTheCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		layer := retry.New(retry.Options{Backoff: retry.Constant(time.Minute)})(plytest.NewOrigin(plytest.Status(503)))
		ctx, cancel := context.WithCancelCause(t.Context())
		shutdown := errors.New("the program ends")
		time.AfterFunc(time.Second, func() { cancel(shutdown) })
		_, err := layer.RoundTrip(newRequest(t, "GET").WithContext(ctx))
		if !errors.Is(err, context.Canceled) || !errors.Is(err, shutdown) || stopOf(t, err) != retry.StopCanceled {
			t.Errorf("got %v", err)
		}
	})
}

// The end of one server's cool-down leaves that of another.
func TestCoolDownsEndOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.RetryIn(429, time.Second), plytest.RetryIn(429, 30*time.Second), plytest.Text("hello"))
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(origin)
		waited := func(host string) time.Duration {
			t.Helper()
			start := time.Now()
			req := newRequest(t, "GET")
			req.URL.Host = host
			resp, err := layer.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return time.Since(start)
		}
		waited("a.test")
		waited("b.test")
		time.Sleep(time.Second)
		if d := waited("a.test"); d != 0 {
			t.Errorf("a waits for %s after its cool-down", d)
		}
		if d := waited("b.test"); d < 29*time.Second {
			t.Errorf("b waits for %s, want the rest of its cool-down", d)
		}
	})
}

func TestCoolDownOfMaxRetryAfterIsWaitedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.RetryIn(429, 30*time.Second), plytest.Text("hello"))
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1, MaxRetryAfter: 30 * time.Second})(origin)
		for _, want := range []int{429, 200} {
			resp, err := layer.RoundTrip(newRequest(t, "GET"))
			if err != nil || resp.StatusCode != want {
				t.Fatalf("%v, %v", resp, err)
			}
			resp.Body.Close()
		}
	})
}

// A caller that is gone before a retry without a wait sends nothing more, and its error says so once.
func TestCanceledBeforeARetryWithoutAWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503))
		ctx, cancel := context.WithCancel(t.Context())
		o := retry.Options{Backoff: retry.Constant(0), OnRetry: func(context.Context, retry.Event) { cancel() }}
		_, err := retry.New(o)(origin).RoundTrip(newRequest(t, "GET").WithContext(ctx))
		if !errors.Is(err, context.Canceled) || origin.Count() != 1 || strings.Count(err.Error(), "context canceled") != 1 {
			t.Errorf("%d requests, %v", origin.Count(), err)
		}
	})
}
