package limit_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/limit"
)

// A deadline is one whatever cause its context names for it.
func TestDeadlineWithACauseOfItsOwnIsADeadline(t *testing.T) {
	errHurry := errors.New("the page is due")
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{InFlight: 1})
		h := l.Middleware(bodies())
		held, err := get(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Body.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errHurry)
		defer cancel()
		_, err = get(ctx, h) //nolint:bodyclose
		var refused *limit.Error
		if !errors.As(err, &refused) || refused.Reason != limit.NoTime || !refused.OriginUnavailable() || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errHurry) {
			t.Errorf("got %#v", err)
		}
		if s := l.Stats(); s.Late != 1 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestTimeoutWithACauseOfItsOwnDecreasesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{Initial: 10}})
		h := l.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the page is due"))
		defer cancel()
		get(ctx, h) //nolint:bodyclose
		if s, _ := l.StatsFor("a.test"); s.Limit != 7 {
			t.Errorf("the limit is %d, want 7", s.Limit)
		}
	})
}

// asks is a context that takes its time to be asked for a deadline, as a goroutine does that has to wait for a processor.
type asks struct{ context.Context }

func (a asks) Value(key any) any {
	time.Sleep(5 * time.Millisecond)
	return a.Context.Value(key)
}

// A request that finds a slot has not waited, however long it took to ask: a busy processor is no limit.
func TestRequestThatWasNotQueuedHasNotWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{InFlight: 1})
		ctx, notes := note.Collect(t.Context())
		mustGet(t, asks{ctx}, l.Middleware(plytest.NewOrigin(plytest.Text("ok"))))
		if s := l.Stats(); s.Waited != 0 || len(notes()) != 0 {
			t.Errorf("got %+v and %v", s, notes())
		}
	})
}

// Times too long to be counted in nanoseconds are long, not negative.
func TestVerySmallRateMakesLongWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Rate: 1e-12})
		h := l.Middleware(plytest.NewOrigin(plytest.Text("ok")))
		mustGet(t, t.Context(), h)
		start := time.Now()
		_, err := get(within(t, time.Hour), h) //nolint:bodyclose
		var refused *limit.Error
		if !errors.As(err, &refused) || refused.Reason != limit.NoTime || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
