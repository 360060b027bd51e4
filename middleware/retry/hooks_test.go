package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestCanceledContextEndsTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		mine := errors.New("not needed any more")
		time.AfterFunc(time.Second, func() { cancel(mine) })
		got, err := call(t, retry.Options{}, newRequest(t, "GET").WithContext(ctx), plytest.Stall())
		if got.Requests != 1 || got.Stop != retry.StopCanceled || !errors.Is(err, context.Canceled) || !errors.Is(err, mine) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestHooksAndPrepare(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "mine")
		var events []string
		note := func(kind string) func(context.Context, retry.Event) {
			return func(ctx context.Context, e retry.Event) {
				status := 0
				if e.Attempt.Response != nil {
					status = e.Attempt.Response.StatusCode
				}
				events = append(events, fmt.Sprint(kind, " ", ctx.Value(key{}), " ", e.Attempt.Request.Method, " ", status, " ", e.Wait, " ", e.Info.Stop))
			}
		}
		req := newRequest(t, "GET").WithContext(ctx)
		o := retry.Options{
			MaxAttempts: 2,
			Backoff:     retry.Constant(time.Second),
			OnRetry:     note("retry"),
			OnGiveUp:    note("give up"),
			Prepare: func(r *http.Request) error {
				r.Header.Set("Signature", time.Now().UTC().Format(time.TimeOnly))
				r.URL.Path = "/signed"
				return nil
			},
		}
		origin := plytest.NewOrigin(plytest.Status(503))
		resp, err := do(t, o, origin, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := []string{"retry mine GET 503 1s ", "give up mine GET 503 0s attempts"}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		x := origin.Exchanges()
		if x[0].Header.Get("Signature") != "" || x[1].Header.Get("Signature") != "00:00:01" || x[1].URL.Path != "/signed" {
			t.Errorf("signed %q and %q for %s", x[0].Header.Get("Signature"), x[1].Header.Get("Signature"), x[1].URL)
		}
		if req.Header.Get("Signature") != "" || req.URL.Path != "/path" {
			t.Error("the caller's request was changed")
		}

		events = nil
		o.Prepare = func(*http.Request) error { return verdict(false) }
		put := newRequest(t, "PUT").WithContext(ctx)
		first, second := &closes{Reader: strings.NewReader("a")}, &closes{Reader: strings.NewReader("a")}
		put.Body, put.GetBody = first, func() (io.ReadCloser, error) { return second, nil }
		_, err = do(t, o, plytest.NewOrigin(plytest.Status(503)), put)
		if stopOf(t, err) != retry.StopPrepare || !errors.Is(err, verdict(false)) || first.n != 1 || second.n != 1 || len(events) != 2 {
			t.Errorf("%v; bodies closed %d and %d times; %q", err, first.n, second.n, events)
		}
	})
}

func TestOnGiveUpOfAnUnsentCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen []string
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1, OnGiveUp: func(_ context.Context, e retry.Event) {
			seen = append(seen, fmt.Sprintf("%s %d %s", e.Attempt.Request.Method, e.Attempt.Number, e.Info.Stop))
		}})(plytest.NewOrigin(plytest.RetryIn(503, 30*time.Second)))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended, end := context.WithCancel(t.Context())
		end()
		for _, req := range []*http.Request{newRequest(t, "GET"), newRequest(t, "PUT").WithContext(short), newRequest(t, "POST").WithContext(ended)} {
			if resp, err := layer.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}
		if diff := cmp.Diff([]string{"GET 1 attempts", "PUT 0 cool-down", "POST 0 canceled"}, seen); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestOnGiveUpIsNotCalledOnSuccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{OnGiveUp: func(context.Context, retry.Event) { t.Error("gave up") }}
		call(t, o, newRequest(t, "GET"), plytest.Status(503), plytest.Text("hello"))
		call(t, o, newRequest(t, "GET"), plytest.Status(404))
	})
}
