package resilience_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// A hook that panics harms its own request alone: the body of the request that is not sent, and that of the response that no one gets, are closed, once each.
func TestHookThatPanicsLeavesNoBodyOpen(t *testing.T) {
	type closed struct{ Request, Response int }
	key := func(*http.Request) string { panic("the hook") }
	change := func(at breaker.State) func(breaker.Change) {
		return func(c breaker.Change) {
			if c.To == at {
				panic("the hook")
			}
		}
	}
	asked := 0
	usable := func(nth int) func(*http.Response) bool {
		return func(*http.Response) bool {
			if asked++; asked == nth {
				panic("the hook")
			}
			return true
		}
	}
	for name, tt := range map[string]struct {
		layer func(http.RoundTripper) http.RoundTripper
		fails int // requests with an answer of 500 before the one that panics
		want  closed
	}{
		"limit, Key":                    {made(limit.New(limit.Options{InFlight: 1, Key: key})).Middleware, 0, closed{1, 0}},
		"breaker, Key":                  {made(breaker.New(breaker.Options{Key: key})).Middleware, 0, closed{1, 0}},
		"breaker, Rules":                {made(breaker.New(breaker.Options{Rules: []retry.Rule{func(*retry.Attempt) retry.Verdict { panic("the hook") }}})).Middleware, 0, closed{1, 1}},
		"breaker, OnChange, open":       {made(breaker.New(breaker.Options{MinRequests: 2, OnChange: change(breaker.Open)})).Middleware, 1, closed{1, 1}},
		"breaker, OnChange, half-open":  {made(breaker.New(breaker.Options{MinRequests: 1, OnChange: change(breaker.HalfOpen)})).Middleware, 1, closed{1, 0}},
		"hedge, Key":                    {made(hedge.New(hedge.Options{Key: key})).Middleware, 0, closed{1, 0}},
		"hedge, Budget":                 {made(hedge.New(hedge.Options{Budget: brittle{retry.Unlimited}})).Middleware, 0, closed{1, 0}},
		"hedge, Usable, measured":       {made(hedge.New(hedge.Options{Usable: usable(1)})).Middleware, 0, closed{1, 1}},
		"hedge, Usable, after the race": {made(hedge.New(hedge.Options{Delay: time.Second, Usable: usable(2)})).Middleware, 0, closed{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked = 0
				var request, response openBody
				h := tt.layer(roundTripper(func(req *http.Request) (*http.Response, error) {
					req.Body.Close()
					response.n = 0
					return &http.Response{StatusCode: 500, Header: http.Header{}, Body: &response, Request: req}, nil
				}))
				send := func() (p any) {
					defer func() { p = recover() }()
					request.n = 0
					req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://a.test/", nil)
					req.Body, req.GetBody = &request, func() (io.ReadCloser, error) { return nil, io.EOF }
					if resp, err := h.RoundTrip(req); err == nil {
						resp.Body.Close()
					}
					return nil
				}
				for range tt.fails {
					send()
					time.Sleep(6 * time.Second)
				}
				response.n = 0
				if p := send(); p != "the hook" {
					t.Errorf("recovered %v", p)
				}
				if diff := cmp.Diff(tt.want, closed{request.n, response.n}); diff != "" {
					t.Errorf("closed (-want +got)\n%s", diff)
				}
			})
		})
	}
}

type openBody struct {
	strings.Reader
	n int
}

func (c *openBody) Close() error { c.n++; return nil }

// brittle is a budget that panics when a call is counted.
type brittle struct{ retry.Budget }

func (brittle) Call(string) { panic("the hook") }

func made[T any](layer T, err error) T {
	if err != nil {
		panic(err)
	}
	return layer
}
