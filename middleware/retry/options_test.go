package retry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestZeroOptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var waits []time.Duration
		o := retry.Options{OnRetry: func(_ context.Context, e retry.Event) { waits = append(waits, e.Wait) }}
		for range 40 { // of 20 retries that the bucket has, and 3 from the floor
			call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		}
		if waits[0] == waits[2] {
			t.Error("no jitter")
		}
		layer := retry.New(retry.Options{Backoff: retry.Constant(0)})
		origin := plytest.NewOrigin(plytest.Status(500))
		for range 40 {
			resp, err := layer(origin).RoundTrip(newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if got := origin.Count(); got != 40+100/5+3 {
			t.Errorf("%d requests for 40 calls: the default budget is not on, or not shared", got)
		}
	})
}

func TestOptionsPerRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		for _, tt := range []struct {
			name string
			ctx  context.Context
			want int
		}{
			{"layer's own", ctx, 3},
			{"attempts", retry.WithMaxAttempts(ctx, 5), 5},
			{"attempts, once", retry.WithMaxAttempts(ctx, 1), 1},
			{"attempts, zero", retry.WithMaxAttempts(ctx, 0), 3},
			{"disabled", retry.Disable(ctx), 1},
			{"enabled inside", retry.Enable(retry.Disable(ctx)), 3},
			{"options", retry.WithOptions(ctx, retry.Options{MaxAttempts: 4, Rules: []retry.Rule{retry.StatusRule(retry.Retry, 500)}}), 4},
			{"inner options win", retry.WithOptions(retry.WithMaxAttempts(ctx, 9), retry.Options{MaxAttempts: 2}), 2},
			{"field by field", retry.WithMaxAttempts(retry.WithOptions(ctx, retry.Options{Rules: []retry.Rule{retry.StatusRule(retry.Final, 500)}}), 9), 1},
		} {
			origin := plytest.NewOrigin(plytest.Status(500))
			resp, err := do(t, retry.Options{}, origin, newRequest(t, "GET").WithContext(tt.ctx))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != tt.want {
				t.Errorf("%s: %d requests, want %d", tt.name, origin.Count(), tt.want)
			}
		}
	})
}

func TestDisabledRequestsPassUntouched(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Reply{Status: 503}, plytest.Text("hello"))
	req := newRequest(t, http.MethodGet)
	resp, err := do(t, retry.Options{}, origin, req.WithContext(retry.Disable(t.Context())))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, ok := retry.InfoFrom(resp); ok || resp.StatusCode != 503 {
		t.Errorf("status %d, info %v", resp.StatusCode, ok)
	}
}

func TestInvalidOptionsSendNothing(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("hello"))
	for _, o := range []retry.Options{
		{MaxAttempts: -1}, {MaxElapsed: -1}, {MinAttemptTime: -1}, {AttemptTimeout: -1}, {BodyTimeout: -1}, {MaxRetryAfter: -1},
		{BufferBody: -1}, {Resume: -1}, {Rules: []retry.Rule{nil}}, {AttemptHeader: "a b"},
		{Budget: &retry.TokenBucket{Capacity: -1}}, {Budget: &retry.TokenBucket{Capacity: 1}}, {Budget: (*retry.TokenBucket)(nil)},
		{Budget: &namedBudget{retry.TokenBucket{Capacity: -1}}}, {Budget: choosyBudget{retry.Unlimited}},
	} {
		body := &closes{Reader: strings.NewReader("x")}
		req := newRequest(t, http.MethodPut)
		req.Body = body
		_, err := retry.New(o)(origin).RoundTrip(req)
		var bad *retry.OptionError
		if !errors.As(err, &bad) || origin.Count() != 0 || body.n != 1 {
			t.Errorf("%+v: error %v, %d requests, body closed %d times", o, err, origin.Count(), body.n)
		}
		if diff := cmp.Diff(o.Validate().Error(), err.Error()); diff != "" {
			t.Error(diff)
		}
	}
	if err := (retry.Options{}).Validate(); err != nil {
		t.Error(err)
	}
	bad := retry.New(retry.Options{MaxAttempts: -1})(origin)
	if says, ok := bad.(interface{ OptionsError() error }); !ok || says.OptionsError() == nil {
		t.Error("the layer does not say that its options are wrong")
	}
	if _, err := bad.RoundTrip(newRequest(t, "GET").WithContext(retry.WithMaxAttempts(t.Context(), 2))); err == nil || origin.Count() != 0 {
		t.Errorf("options of a request mend those of the layer: %v, %d requests", err, origin.Count())
	}
	ctx := retry.WithMaxAttempts(t.Context(), -1)
	if _, err := retry.New(retry.Options{})(origin).RoundTrip(newRequest(t, "GET").WithContext(ctx)); err == nil {
		t.Error("MaxAttempts(ctx, -1) passes")
	}
}

// namedBudget is a budget of the user's that embeds a bucket.
type namedBudget struct{ retry.TokenBucket }

// choosyBudget is a budget of the user's that says itself what is wrong with it.
type choosyBudget struct{ retry.Budget }

func (choosyBudget) Validate() error { return errors.New("no server is named: give one") }
