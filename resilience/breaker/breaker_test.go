package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/limit"
)

func TestContract(t *testing.T) {
	for name, o := range map[string]breaker.Options{
		"default":    {MinRequests: 1000},
		"with hooks": {MinRequests: 1000, OnChange: func(breaker.Change) {}},
	} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper { return newBreaker(t, o).Middleware(next) })
		})
	}
}

// An open breaker keeps the contract too: it is opened by the failures of the first requests.
func TestContractWhileOpening(t *testing.T) {
	plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
		return newBreaker(t, breaker.Options{MinRequests: 1}).Middleware(next)
	}, plytest.Except(plytest.ErrorKept, "after the first error it is open, and has an error of its own"),
		plytest.Except(plytest.PanicPassed, "after an error it is open, so that the handler that panics is not called"))
}

func newBreaker(t testing.TB, o breaker.Options) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func send(ctx context.Context, h http.RoundTripper, method string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://a.test/", nil)
	if err != nil {
		panic(err)
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var changes []string
		var b *breaker.Breaker
		b = newBreaker(t, breaker.Options{MinRequests: 4, FailureRate: 0.5, OpenFor: 5 * time.Second, OnChange: func(c breaker.Change) {
			changes = append(changes, fmt.Sprintf("%s %s → %s at %v", c.Key, c.From, c.To, c.At.Sub(start)))
			b.State(c.Key) // a hook may ask
		}})
		bad, good := plytest.Status(http.StatusInternalServerError), plytest.Text("ok")
		origin := plytest.NewOrigin(good, good, bad, bad, bad, good, good)
		h := b.Middleware(origin)
		for range 4 {
			send(t.Context(), h, http.MethodGet)
		}
		req, _ := http.NewRequest(http.MethodPost, "http://a.test/", strings.NewReader("x"))
		_, err := h.RoundTrip(req) //nolint:bodyclose
		var open *breaker.OpenError
		if !errors.As(err, &open) || open.Key != "a.test" || open.Until.Sub(start) != 5*time.Second || !open.OriginUnavailable() || open.RetryableError() || !open.Unsent() {
			t.Errorf("got %#v", err)
		}
		if b.State("a.test") != breaker.Open || b.State("b.test") != breaker.Closed || origin.Count() != 4 {
			t.Errorf("states %v and %v after %d requests", b.State("a.test"), b.State("b.test"), origin.Count())
		}
		time.Sleep(5*time.Second + 1)
		if status, err := send(t.Context(), h, http.MethodGet); status != 500 {
			t.Errorf("the first probe: %d, %v", status, err)
		}
		if _, err := send(t.Context(), h, http.MethodGet); err == nil {
			t.Error("a failed probe has not opened the breaker again")
		}
		time.Sleep(5*time.Second + 1)
		for i := range 2 {
			if status, err := send(t.Context(), h, http.MethodGet); status != 200 {
				t.Errorf("request %d after the outage: %d, %v", i, status, err)
			}
		}
		want := []string{
			"a.test closed → open at 0s",
			"a.test open → half-open at 5.000000001s",
			"a.test half-open → open at 5.000000001s",
			"a.test open → half-open at 10.000000002s",
			"a.test half-open → closed at 10.000000002s",
		}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(breaker.Stats{Opened: 2, Refused: 2, Probes: 2}, b.Stats()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestProbesAreBounded(t *testing.T) {
	for _, probes := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			slow := plytest.Reply{Wait: time.Second, Body: "ok"}
			origin := plytest.NewOrigin(plytest.ResetConnection(), slow)
			b := newBreaker(t, breaker.Options{MinRequests: 1, Probes: probes})
			h := b.Middleware(origin)
			send(t.Context(), h, http.MethodGet)
			time.Sleep(5*time.Second + 1)
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() { send(t.Context(), h, http.MethodGet) })
			}
			wg.Wait()
			if n := origin.Count() - 1; n != probes {
				t.Errorf("%d of 100 requests were let through, want %d", n, probes)
			}
			if s := b.State("a.test"); s != breaker.Closed {
				t.Errorf("after %d successful probes it is %v", probes, s)
			}
		})
	}
}

// A probe that hangs must not keep the breaker half-open for ever.
func TestProbeWithoutAnAnswerCountsAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.ResetConnection(), plytest.Stall(), plytest.Text("ok"))
		b := newBreaker(t, breaker.Options{MinRequests: 1, ProbeTimeout: 3 * time.Second})
		h := b.Middleware(origin)
		send(t.Context(), h, http.MethodGet)
		time.Sleep(5*time.Second + 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go send(ctx, h, http.MethodGet)
		time.Sleep(3*time.Second + 1)
		if s := b.State("a.test"); s != breaker.Open {
			t.Errorf("after the probe's time it is %v", s)
		}
		time.Sleep(5 * time.Second)
		if status, err := send(t.Context(), h, http.MethodGet); status != 200 {
			t.Errorf("the next probe: %d, %v", status, err)
		}
	})
}

// What counts is what retry would send again, and what the caller does not decide.
func TestWhatCountsAsFailure(t *testing.T) {
	fatal := &unsent{}
	for _, tt := range []struct {
		name    string
		reply   plytest.Reply
		timeout time.Duration // of the caller; zero for none
		options breaker.Options
		method  string
		want    breaker.State
	}{
		{name: "503", reply: plytest.Status(503), want: breaker.Open},
		{name: "500 to a POST", reply: plytest.Status(500), method: http.MethodPost, want: breaker.Open},
		{name: "429", reply: plytest.Status(429), want: breaker.Open},
		{name: "429 that a rule excludes", reply: plytest.Status(429), options: breaker.Options{Rules: []retry.Rule{retry.StatusRule(retry.Final, 429)}}, want: breaker.Closed},
		{name: "404 that a rule includes", reply: plytest.Status(404), options: breaker.Options{Rules: []retry.Rule{retry.StatusRule(retry.Retry, 404)}}, want: breaker.Open},
		{name: "404", reply: plytest.Status(404), want: breaker.Closed},
		{name: "501", reply: plytest.Status(501), want: breaker.Closed},
		{name: "reset", reply: plytest.ResetConnection(), want: breaker.Open},
		{name: "refused", reply: plytest.Refuse(), want: breaker.Open},
		{name: "any error", reply: plytest.Fail(errors.New("x")), want: breaker.Open},
		{name: "bad certificate", reply: plytest.BadCertificate(), want: breaker.Closed},
		{name: "kept back by a layer below", reply: plytest.Fail(fatal), want: breaker.Closed},
		{name: "the caller's deadline", reply: plytest.Stall(), timeout: 2 * time.Second, want: breaker.Open},
		{name: "a hasty deadline", reply: plytest.Stall(), timeout: 500 * time.Millisecond, want: breaker.Closed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.options.MinRequests = 3
				b := newBreaker(t, tt.options)
				h := b.Middleware(plytest.NewOrigin(tt.reply))
				for range 3 {
					ctx := t.Context()
					if tt.timeout > 0 {
						c, cancel := context.WithTimeout(ctx, tt.timeout)
						defer cancel()
						ctx = c
					}
					method := tt.method
					if method == "" {
						method = http.MethodGet
					}
					send(ctx, h, method)
				}
				if got := b.State("a.test"); got != tt.want {
					t.Errorf("it is %v, want %v", got, tt.want)
				}
			})
		})
	}
}

type unsent struct{}

func (*unsent) Error() string { return "kept" }
func (*unsent) Unsent() bool  { return true }

// The time that retry gives an attempt is the server's to keep, however short it is; what the caller cancels is not.
func TestAttemptTimeoutCountsAndCancellationDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Options{MinRequests: 2})
		h := retry.New(retry.Options{AttemptTimeout: 10 * time.Millisecond, MaxAttempts: 2})(b.Middleware(plytest.NewOrigin(plytest.Stall())))
		send(t.Context(), h, http.MethodGet)
		if got := b.State("a.test"); got != breaker.Open {
			t.Errorf("after two attempts without an answer it is %v", got)
		}
		b = newBreaker(t, breaker.Options{MinRequests: 1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		send(ctx, b.Middleware(plytest.NewOrigin(plytest.Stall())), http.MethodGet)
		if got := b.State("a.test"); got != breaker.Closed {
			t.Errorf("after the caller gave up it is %v", got)
		}
	})
}

// A deadline is one whatever cause its context names for it: a failure if it was not a hasty one.
func TestDeadlineWithACauseOfItsOwnIsADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for patience, want := range map[time.Duration]breaker.State{2 * time.Second: breaker.Open, time.Millisecond: breaker.Closed} {
			b := newBreaker(t, breaker.Options{MinRequests: 1})
			ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the page is due"))
			send(ctx, b.Middleware(plytest.NewOrigin(plytest.Stall())), http.MethodGet)
			cancel()
			if got := b.State("a.test"); got != want {
				t.Errorf("after %v it is %v, want %v", patience, got, want)
			}
		}
	})
}

// What says nothing of the server counts neither for nor against it.
func TestUncountedOutcomesDoNotHideFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := []plytest.Reply{}
		for range 3 {
			replies = append(replies, plytest.BadCertificate(), plytest.BadCertificate(), plytest.BadCertificate(), plytest.Status(500))
		}
		b := newBreaker(t, breaker.Options{MinRequests: 3})
		h := b.Middleware(plytest.NewOrigin(replies...))
		for range len(replies) {
			send(t.Context(), h, http.MethodGet)
		}
		if got := b.State("a.test"); got != breaker.Open {
			t.Errorf("after three failures among certificates that are no good it is %v", got)
		}
	})
}

// A probe that the caller cancels is no probe: the next request is one.
func TestCancelledProbeMakesRoomForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Options{MinRequests: 1})
		h := b.Middleware(plytest.NewOrigin(plytest.Status(500), plytest.Stall(), plytest.Text("ok")))
		send(t.Context(), h, http.MethodGet)
		time.Sleep(5*time.Second + 1)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		send(ctx, h, http.MethodGet)
		if got := b.State("a.test"); got != breaker.HalfOpen || b.Stats().HalfOpen != 1 {
			t.Errorf("after a canceled probe it is %v", got)
		}
		if status, err := send(t.Context(), h, http.MethodGet); status != 200 || b.State("a.test") != breaker.Closed {
			t.Errorf("the next probe: %d, %v, and it is %v", status, err, b.State("a.test"))
		}
	})
}

func TestShareOfFailuresDecides(t *testing.T) {
	for _, tt := range []struct {
		bad, good int
		want      breaker.State
	}{{7, 3, breaker.Open}, {6, 4, breaker.Closed}, {9, 0, breaker.Closed}, {10, 0, breaker.Open}} {
		synctest.Test(t, func(t *testing.T) {
			replies := slices.Repeat([]plytest.Reply{plytest.Text("ok")}, tt.good)
			replies = append(replies, slices.Repeat([]plytest.Reply{plytest.Status(502)}, tt.bad)...)
			b := newBreaker(t, breaker.Options{})
			h := b.Middleware(plytest.NewOrigin(replies...))
			for range replies {
				send(t.Context(), h, http.MethodGet)
			}
			if got := b.State("a.test"); got != tt.want {
				t.Errorf("%d of %d failed, and it is %v, want %v", tt.bad, tt.bad+tt.good, got, tt.want)
			}
		})
	}
}

func TestFailuresThatAreLongAgoDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Options{MinRequests: 4, Window: 10 * time.Second})
		h := b.Middleware(plytest.NewOrigin(plytest.Status(500)))
		for range 6 {
			send(t.Context(), h, http.MethodGet)
			time.Sleep(5 * time.Second)
		}
		if got := b.State("a.test"); got != breaker.Closed {
			t.Errorf("two failures in any ten seconds, and it is %v", got)
		}
	})
}

func TestRetryDoesNotHammerAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503))
		budget := &retry.TokenBucket{}
		h := retry.New(retry.Options{MaxAttempts: 10, Budget: budget})(newBreaker(t, breaker.Options{MinRequests: 2}).Middleware(origin))
		_, err := send(t.Context(), h, http.MethodGet)
		var failed *retry.Error
		if !errors.As(err, &failed) || len(failed.Attempts) != 3 || !failed.Attempts[2].Unsent || !failed.OriginUnavailable() || origin.Count() != 2 {
			t.Errorf("%v, and the origin saw %d requests", err, origin.Count())
		}
		start, granted := time.Now(), budget.Stats().Granted
		_, err = send(t.Context(), h, http.MethodGet)
		if took := time.Since(start); took != 0 || budget.Stats().Granted != granted || !errors.As(err, new(*breaker.OpenError)) {
			t.Errorf("the next call: %v after %v, with %d retries", err, took, budget.Stats().Granted-granted)
		}
	})
}

// A cache above serves what is stale while the breaker is open, where that is allowed.
func TestCacheServesStaleWhileTheBreakerIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Text("stored", "Cache-Control", "max-age=1, stale-if-error=600"), plytest.ResetConnection())
		store, err := cache.New(cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		b := newBreaker(t, breaker.Options{MinRequests: 2, FailureRate: 0.5})
		h := store.Middleware(retry.New(retry.Options{MaxAttempts: 1})(b.Middleware(origin)))
		for i := range 4 {
			if status, err := send(t.Context(), h, http.MethodGet); status != http.StatusOK {
				t.Errorf("request %d: %d, %v", i, status, err)
			}
			time.Sleep(2 * time.Second)
		}
		if s := b.Stats(); s.Refused == 0 || origin.Count() != 2 {
			t.Errorf("%+v, and the origin saw %d requests", s, origin.Count())
		}
	})
}

// A limit below that is full says nothing of the server.
func TestFullLimitDoesNotOpenTheBreaker(t *testing.T) {
	l, err := limit.New(limit.Options{InFlight: 1, Queue: -1})
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t, breaker.Options{MinRequests: 2})
	h := b.Middleware(l.Middleware(plytest.NewOrigin(plytest.Text("held"))))
	req, _ := http.NewRequest(http.MethodGet, "http://a.test/", nil)
	held, err := h.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Body.Close()
	for range 10 {
		send(t.Context(), h, http.MethodGet)
	}
	if s := l.Stats(); b.State("a.test") != breaker.Closed || s.QueueFull != 10 {
		t.Errorf("it is %v, %+v", b.State("a.test"), s)
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	for field, o := range map[string]breaker.Options{
		"FailureRate": {FailureRate: 1.1},
		"MinRequests": {MinRequests: -1},
		"Window":      {Window: -1},
		"OpenFor":     {OpenFor: -1},
		"Probes":      {Probes: -1},
		"Rules[0]":    {Rules: []retry.Rule{nil}},
	} {
		var bad *breaker.OptionError
		if _, err := breaker.New(o); !errors.As(err, &bad) || bad.Option != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
