package limit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/limit"
)

func TestContract(t *testing.T) {
	for name, o := range map[string]limit.Options{
		"in flight": {InFlight: 2},
		"adaptive":  {Adaptive: &limit.Adaptive{Initial: 1, Min: 1}},
		"rate":      {Rate: 50, Burst: 1},
		"all":       {Rate: 1000, InFlight: 3, Adaptive: &limit.Adaptive{}, Queue: 100, MaxWait: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper { return newLimiter(t, o).Middleware(next) })
		})
	}
}

func newLimiter(t testing.TB, o limit.Options) *limit.Limiter {
	t.Helper()
	l, err := limit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(ctx context.Context, h http.RoundTripper) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/", nil)
	if err != nil {
		panic(err)
	}
	return h.RoundTrip(req)
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// bodies is a server whose bodies last until they are closed.
func bodies() *plytest.Origin { return plytest.NewOrigin(plytest.Text("hello")) }

func TestSlotIsHeldUntilTheBodyEnds(t *testing.T) {
	for name, end := range map[string]func(*http.Response){
		"closed":  func(resp *http.Response) { resp.Body.Close() },
		"drained": func(resp *http.Response) { io.Copy(io.Discard, resp.Body) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, limit.Options{InFlight: 1})
				h := l.Middleware(bodies())
				first, err := get(t.Context(), h)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan time.Duration)
				start := time.Now()
				go func() {
					second, err := get(t.Context(), h)
					if err == nil {
						second.Body.Close()
					}
					done <- time.Since(start)
				}()
				time.Sleep(time.Minute)
				if s, _ := l.StatsFor("a.test"); s != (limit.KeyStats{InFlight: 1, Queued: 1, Limit: 1}) {
					t.Errorf("after the header: %+v", s)
				}
				end(first)
				if waited := <-done; waited != time.Minute {
					t.Errorf("the second request waited %v, want until the body of the first had ended", waited)
				}
				if s := l.Stats(); s != (limit.Stats{Waited: 1}) {
					t.Errorf("in the end: %+v", s)
				}
			})
		})
	}
}

func TestSlotOfADroppedBodyIsFreed(t *testing.T) {
	l := newLimiter(t, limit.Options{InFlight: 1, Queue: -1})
	h := l.Middleware(bodies())
	func() {
		if _, err := get(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}()
	for range 100 {
		runtime.GC()
		if resp, err := get(t.Context(), h); err == nil {
			resp.Body.Close()
			return
		}
		runtime.Gosched()
	}
	t.Error("the slot of a dropped body is still taken")
}

// empty answers as [http.Transport] does for a response without a body.
var empty = roundTripper(func(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
})

func TestRequestsWithoutABodyFreeTheirSlotAtOnce(t *testing.T) {
	for name, next := range map[string]http.RoundTripper{
		"204":   empty,
		"error": plytest.NewOrigin(plytest.ResetConnection()),
	} {
		l := newLimiter(t, limit.Options{InFlight: 1})
		get(t.Context(), l.Middleware(next)) //nolint:bodyclose
		if s := l.Stats(); s.InFlight != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimiter(t, limit.Options{Rate: 10, Burst: 1}).Middleware(bodies())
		var mu sync.Mutex
		var order []int
		var at []time.Duration
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				ctx := t.Context()
				if i == 2 { // it gives up, and leaves no gap
					ctx = within(t, 150*time.Millisecond)
				}
				resp, err := get(ctx, h)
				if err != nil {
					return
				}
				resp.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				order, at = append(order, i), append(at, time.Since(start).Round(time.Millisecond))
			})
			synctest.Wait()
		}
		wg.Wait()
		if diff := cmp.Diff([]int{0, 1, 3, 4, 5}, order); diff != "" {
			t.Error(diff)
		}
		const tenth = 100 * time.Millisecond
		if diff := cmp.Diff([]time.Duration{0, tenth, 2 * tenth, 3 * tenth, 4 * tenth}, at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCancelledWaiterLeavesItsPlaceToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Rate: 1, Burst: 1})
		h := l.Middleware(bodies())
		start := time.Now()
		mustGet(t, t.Context(), h)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := get(ctx, h) //nolint:bodyclose
			var refused *limit.Error
			if !errors.As(err, &refused) || refused.Reason != limit.GaveUp || !errors.Is(err, gone) || !errors.Is(err, context.Canceled) || refused.OriginUnavailable() {
				t.Errorf("who gave up has %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { mustGet(t, t.Context(), h) })
		synctest.Wait()
		cancel(gone)
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("the one behind went after %v, want the second of the place that became free", took)
		}
	})
}

func mustGet(t testing.TB, ctx context.Context, h http.RoundTripper) {
	t.Helper()
	resp, err := get(ctx, h)
	if err != nil {
		t.Error(err)
		return
	}
	resp.Body.Close()
}

func TestWaitThatCannotMeetTheDeadlineFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Rate: 1, Burst: 1})
		origin := bodies()
		h := l.Middleware(origin)
		mustGet(t, t.Context(), h)
		go mustGet(t, t.Context(), h)
		synctest.Wait()
		start := time.Now()
		_, err := get(within(t, 1999*time.Millisecond), h) //nolint:bodyclose
		var refused *limit.Error
		if !errors.As(err, &refused) || refused.Reason != limit.NoTime || !errors.Is(err, context.DeadlineExceeded) || !refused.NoTimeLeft() {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it failed after %v, want at once: the second place is free in two seconds", took)
		}
		mustGet(t, within(t, 2001*time.Millisecond), h)
		if n := origin.Count(); n != 3 {
			t.Errorf("the origin saw %d requests, want 3", n)
		}
		if s := l.Stats(); s.Late != 1 || s.Waited != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFullQueueFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{InFlight: 1, Queue: 2, MaxWait: time.Minute})
		h := l.Middleware(bodies())
		held, err := get(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Body.Close()
		reasons := make(chan string, 3)
		for range 3 {
			go func() {
				_, err := get(t.Context(), h) //nolint:bodyclose
				reasons <- err.Error()
			}()
			synctest.Wait()
		}
		want := []string{"limit: no room for a.test: queue full", "limit: no room for a.test after 1m0s: max wait", "limit: no room for a.test after 1m0s: max wait"}
		if diff := cmp.Diff(want, []string{<-reasons, <-reasons, <-reasons}); diff != "" {
			t.Error(diff)
		}
	})
}

// A copy of a request that is under way does not wait: the request may hold the slot that the copy waits for.
func TestCopyGetsASlotAtOnceOrNotAtAll(t *testing.T) {
	l := newLimiter(t, limit.Options{InFlight: 2})
	h := l.Middleware(bodies())
	copied := note.WithHedge(t.Context(), 1)
	first, err := get(copied, h)
	if err != nil {
		t.Fatal("a copy for which there is room: ", err)
	}
	defer first.Body.Close()
	second, err := get(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Body.Close()
	var refused *limit.Error
	if _, err := get(copied, h); !errors.As(err, &refused) || refused.Reason != limit.NoRoom || !refused.Unsent() { //nolint:bodyclose
		t.Errorf("a copy without room: %v", err)
	}
}

func TestWaitThatIsKnownToBeTooLongFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLimiter(t, limit.Options{Rate: 1, Burst: 1, MaxWait: 1500 * time.Millisecond}).Middleware(bodies())
		mustGet(t, t.Context(), h)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { mustGet(t, t.Context(), h) })
		synctest.Wait()
		start := time.Now()
		var refused *limit.Error
		if _, err := get(t.Context(), h); !errors.As(err, &refused) || refused.Reason != limit.MaxWait || time.Since(start) != 0 { //nolint:bodyclose
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A deadline that passes while others hold the slots ends the wait; nothing is lost by it.
func TestDeadlineEndsAWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{InFlight: 1})
		h := l.Middleware(bodies())
		held, err := get(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		var refused *limit.Error
		if _, err := get(within(t, time.Second), h); !errors.As(err, &refused) || refused.Reason != limit.NoTime || refused.Waited != time.Second || !errors.Is(err, context.DeadlineExceeded) { //nolint:bodyclose
			t.Errorf("%v", err)
		}
		held.Body.Close()
		mustGet(t, t.Context(), h)
		if s := l.Stats(); s.Late != 1 || s.InFlight != 0 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Streams that stay open hold slots, and must not lock others out while the server has nothing to do.
func TestOpenStreamsDoNotUseUpAnAdaptiveLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{InFlight: 50, Adaptive: &limit.Adaptive{Initial: 5}, Queue: 100})
		h := l.Middleware(plytest.NewOrigin(plytest.Reply{Body: "events", Wait: 10 * time.Millisecond}))
		var streams []io.Closer
		for i := range 50 {
			resp, err := get(within(t, time.Minute), h)
			if err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
			streams = append(streams, resp.Body)
		}
		var refused *limit.Error
		if _, err := get(within(t, time.Minute), h); !errors.As(err, &refused) { //nolint:bodyclose
			t.Errorf("beyond InFlight: %v", err)
		}
		for _, s := range streams {
			s.Close()
		}
		if s := l.Stats(); s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// So it is for those that wait already.
func TestWaitingRequestsGoOnWhileBodiesHoldTheSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{Initial: 2}})
		h := l.Middleware(plytest.NewOrigin(plytest.Reply{Body: "events", Wait: 10 * time.Millisecond}))
		var wg sync.WaitGroup
		var open atomic.Int64
		for range 20 {
			wg.Go(func() {
				resp, err := get(within(t, time.Minute), h)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				open.Add(1)
				time.Sleep(time.Hour)
			})
		}
		time.Sleep(time.Minute)
		if n := open.Load(); n != 20 {
			t.Errorf("%d of 20 streams are open", n)
		}
		wg.Wait()
	})
}

// Answers that do not come in time make the limit smaller; those that a caller in a hurry did not wait for do not.
func TestTimeoutsDecreaseTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := 100 * time.Millisecond
		server := roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(wait):
				return empty(req)
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
		l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{}})
		h := l.Middleware(server)
		mustGet(t, t.Context(), h)
		wait = time.Hour
		get(within(t, 150*time.Millisecond), h) //nolint:bodyclose
		if s, _ := l.StatsFor("a.test"); s.Limit != 20 {
			t.Errorf("after a hasty caller the limit is %d, want 20", s.Limit)
		}
		get(within(t, time.Second), h) //nolint:bodyclose
		if s, _ := l.StatsFor("a.test"); s.Limit != 14 {
			t.Errorf("after a timeout the limit is %d, want 14", s.Limit)
		}
	})
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	h := newLimiter(t, limit.Options{InFlight: 1, Queue: -1, Key: func(r *http.Request) string { return r.URL.Path }}).Middleware(bodies())
	for i := range 3 {
		req, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("http://a.test/%d", i), nil)
		resp, err := h.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
}

// A limit below retry: what it does not let through is not retried, and counts as not sent.
func TestRetryDoesNotHammerALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limit.Options{Rate: 1, Burst: 1, Queue: -1})
		origin := bodies()
		h := retry.New(retry.Options{})(l.Middleware(origin))
		mustGet(t, t.Context(), h)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://a.test/", strings.NewReader("x"))
		start := time.Now()
		_, err := h.RoundTrip(req) //nolint:bodyclose
		var failed *retry.Error
		if !errors.As(err, &failed) || len(failed.Attempts) != 1 || !failed.Attempts[0].Unsent || !failed.OriginUnavailable() || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if s := l.Stats(); s.QueueFull != 1 || origin.Count() != 1 {
			t.Errorf("%+v, %d requests at the origin", s, origin.Count())
		}
	})
}

// A server that can do 10 requests at once and is slower with more: the limit settles near what it can do, from both sides.
func TestAdaptiveLimitFindsWhatTheServerCanDo(t *testing.T) {
	for _, initial := range []int{2, 100} {
		t.Run(fmt.Sprint("from ", initial), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const can = 10
				var busy atomic.Int64
				server := roundTripper(func(req *http.Request) (*http.Response, error) {
					n := busy.Add(1)
					defer busy.Add(-1)
					time.Sleep(time.Duration(max(1, float64(n)/can) * float64(100*time.Millisecond)))
					return empty(req)
				})
				l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{Initial: initial}})
				h := l.Middleware(server)
				mustGet(t, t.Context(), h) // the server at its best
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						for ctx.Err() == nil {
							get(ctx, h) //nolint:bodyclose
						}
					})
				}
				wg.Wait()
				s, _ := l.StatsFor("a.test")
				if s.Limit < can || s.Limit > 3*can {
					t.Errorf("the limit is %d, want it between %d and %d", s.Limit, can, 3*can)
				}
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server that is slow for reasons of its own does not get less and less.
func TestAdaptiveLimitRecoversWhenTheServerStaysSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := 10 * time.Millisecond
		server := roundTripper(func(req *http.Request) (*http.Response, error) {
			time.Sleep(took)
			return empty(req)
		})
		l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{}})
		h := l.Middleware(server)
		mustGet(t, t.Context(), h)
		took = 200 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for ctx.Err() == nil {
					get(ctx, h) //nolint:bodyclose
				}
			})
		}
		wg.Wait()
		if s, _ := l.StatsFor("a.test"); s.Limit < 40 {
			t.Errorf("the limit is %d, want room for 50", s.Limit)
		}
	})
}

func TestOverloadDecreasesTheLimitAndRetryAfterPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.RetryIn(http.StatusTooManyRequests, 10*time.Second), plytest.Text("ok"))
		l := newLimiter(t, limit.Options{Adaptive: &limit.Adaptive{Initial: 20}})
		h := l.Middleware(origin)
		start := time.Now()
		mustGet(t, t.Context(), h)
		if s, _ := l.StatsFor("a.test"); s.Limit != 14 {
			t.Errorf("the limit after a 429 is %d, want 30 %% less than 20", s.Limit)
		}
		if _, err := get(within(t, 9*time.Second), h); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 { //nolint:bodyclose
			t.Errorf("a request that cannot wait for the end of the pause: %v after %v", err, time.Since(start))
		}
		mustGet(t, t.Context(), h)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the next request went after %v, want 10s", took)
		}
	})
}

// Who waits already when the server asks for a pause that is too long for it fails then, and not at its deadline.
func TestPauseEndsTheWaitOfThoseWithoutTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reply := plytest.RetryIn(http.StatusServiceUnavailable, time.Minute)
		reply.Wait = time.Second
		l := newLimiter(t, limit.Options{InFlight: 1, Adaptive: &limit.Adaptive{}})
		h := l.Middleware(plytest.NewOrigin(reply))
		go get(t.Context(), h) //nolint:bodyclose
		synctest.Wait()
		start := time.Now()
		_, err := get(within(t, 30*time.Second), h) //nolint:bodyclose
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

func TestBadOptionsAreErrors(t *testing.T) {
	for field, o := range map[string]limit.Options{
		"Rate":     {Rate: -1},
		"Burst":    {Burst: 1},
		"InFlight": {InFlight: -1},
		"MaxWait":  {MaxWait: -1},
		"MaxKeys":  {MaxKeys: -1},
		"Adaptive": {InFlight: 5, Adaptive: &limit.Adaptive{Initial: 6}},
	} {
		var bad *limit.OptionError
		if _, err := limit.New(o); !errors.As(err, &bad) || bad.Option != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
