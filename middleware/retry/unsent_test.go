package retry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// keptError is what a layer below says of a request that it did not hand on.
type keptError struct{ unsent, noTime bool }

func (e *keptError) Error() string    { return "kept" }
func (e *keptError) Unsent() bool     { return e.unsent }
func (e *keptError) NoTimeLeft() bool { return e.noTime }

// A layer below that kept the request can say so: then even a POST may be sent again, unless the layer says that there is no time.
func TestErrorsThatSayWhetherARequestWasSent(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      *keptError
		attempts int
		unsent   bool
		stop     retry.Stop
	}{
		{"kept", &keptError{unsent: true}, 2, true, retry.StopDone},
		{"nothing said", &keptError{}, 1, false, retry.StopFatal},
		{"kept for want of time", &keptError{unsent: true, noTime: true}, 1, true, retry.StopDeadline},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, info := retry.WithInfo(t.Context())
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://a.test/", strings.NewReader("x"))
				next := plytest.NewOrigin(plytest.Text("ok"))
				calls := 0
				below := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						r.Body.Close()
						return nil, tt.err
					}
					return next.RoundTrip(r)
				})
				if resp, err := retry.New(retry.Options{})(below).RoundTrip(req); err == nil {
					resp.Body.Close()
				}
				i, _ := info()
				if len(i.Attempts) != tt.attempts || i.Attempts[0].Unsent != tt.unsent || i.Stop != tt.stop {
					t.Errorf("%+v, want %d attempts, the first unsent: %v, and %q", i, tt.attempts, tt.unsent, tt.stop)
				}
			})
		})
	}
}

// A request that waits in a layer below when AttemptTimeout ends its attempt has not been sent either, and what was paid for it comes back.
func TestAttemptTimeoutWhileALayerBelowKeepsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, info := retry.WithInfo(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://a.test/", strings.NewReader("x"))
		full := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			r.Body.Close()
			<-r.Context().Done()
			return nil, &keptError{unsent: true, noTime: true}
		})
		b := &retry.TokenBucket{}
		_, err := retry.New(retry.Options{AttemptTimeout: time.Second, Budget: b})(full).RoundTrip(req)
		i, _ := info()
		if len(i.Attempts) != 3 || !i.Attempts[0].Unsent || !errors.Is(err, retry.ErrAttemptTimeout) || b.Tokens("a.test") != 100 {
			t.Errorf("%+v, %v, %d tokens", i, err, b.Tokens("a.test"))
		}
	})
}

// callCounter is a budget that hears of each call.
type callCounter struct {
	retry.TokenBucket
	calls []string
}

func (c *callCounter) Call(key string) { c.calls = append(c.calls, key) }

func TestBudgetWithCallHearsOfEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &callCounter{}
		h := retry.New(retry.Options{Budget: b})(plytest.NewOrigin(plytest.Status(503), plytest.Text("ok")))
		for range 2 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
			resp, err := h.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if strings.Join(b.calls, " ") != "a.test a.test" || b.Stats().Granted != 1 {
			t.Errorf("calls %v, %+v", b.calls, b.Stats())
		}
	})
}

func TestIsIdempotent(t *testing.T) {
	for name, want := range map[string]bool{http.MethodGet: true, http.MethodPut: true, http.MethodPost: false, http.MethodPatch: false} {
		req, _ := http.NewRequest(name, "http://a.test/", nil)
		if got := retry.IsIdempotent(req); got != want {
			t.Errorf("%s: %v", name, got)
		}
		if !retry.IsIdempotent(req.WithContext(retry.WithIdempotent(context.Background()))) {
			t.Errorf("a %s that is marked is not idempotent", name)
		}
		req.Header["Idempotency-Key"] = nil
		if !retry.IsIdempotent(req) {
			t.Errorf("a %s with a key is not idempotent", name)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	resp := &http.Response{Header: http.Header{"Retry-After": {"3"}}}
	if d, ok := retry.RetryAfter(resp); !ok || d != 3*time.Second {
		t.Errorf("%v, %v", d, ok)
	}
	if _, ok := retry.RetryAfter(&http.Response{}); ok {
		t.Error("a response without the field asks for a wait")
	}
}
