package ply_test

import (
	"context"
	"errors"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// If the total timeout expires while retry waits, the error has both the timeout and the attempts, and the record does not call the caller canceled.
func TestTotalTimeoutDuringARetryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{
			Transport: plytest.NewOrigin(plytest.Refuse()),
			Use: []ply.Middleware{retry.New(retry.Options{
				Backoff: retry.Constant(500 * time.Millisecond),
				OnRetry: func(context.Context, retry.Event) { time.Sleep(700 * time.Millisecond) }, // or the wait would not begin
			})},
			Timeouts: ply.Timeouts{Total: time.Second},
		})
		ctx := ply.WithCallInfo(t.Context())
		_, err := c.Get(ctx, "http://a.test/")
		var total *ply.TimeoutError
		var failed *retry.Error
		if !errors.As(err, &total) || total.Phase != ply.PhaseTotal || !errors.As(err, &failed) || len(failed.Attempts) != 1 || failed.Stop != retry.StopDeadline {
			t.Errorf("got %v", err)
		}
		if errors.Is(err, context.Canceled) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		i, _ := ply.CallInfoFromContext(ctx)
		if h := i.Hops[0]; h.Stop != "deadline" || i.Total != time.Second {
			t.Errorf("got\n%s", i)
		}
	})
}

func TestTimeoutLimitsTheWholeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["response header"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t)})
		_, err := c.Get(t.Context(), m.url, ply.Timeout(time.Second))
		checkTimeout(t, err, ply.PhaseTotal, time.Second)
		var outer *url.Error
		if !errors.As(err, &outer) || !outer.Timeout() || outer.Op != "Get" || outer.URL != m.url {
			t.Errorf("got %#v, want the *url.Error of a timeout", err)
		}
		if want := `Get "http://origin.test/": ply: total timeout after 1s`; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
}

// TestCallersDeadlineIsNoTimeoutError: even if all phases have limits.
func TestCallersDeadlineIsNoTimeoutError(t *testing.T) {
	certificate()
	mine := errors.New("mine")
	ends := map[string]struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		want    error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled},
		"cause": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(mine) })
			return ctx, func() { cancel(nil) }
		}, nil}, // whatever net/http makes of it
	}
	for name, s := range scenarios {
		for end, e := range ends {
			t.Run(name+"/"+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, layers := s.start(t)
					c := newClient(t, ply.Options{Transport: m.transport(t), Use: layers, Timeouts: s.others(s.limit(2 * time.Second))})
					ctx, cancel := e.context(t.Context())
					defer cancel()
					err := fetch(ctx, c, m.url)
					var named *ply.TimeoutError
					if err == nil || errors.As(err, &named) || e.want != nil && !errors.Is(err, e.want) {
						t.Errorf("got %v, want %v and no TimeoutError", err, e.want)
					}
				})
			})
		}
	}
}
