package hedge_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
)

func TestContract(t *testing.T) {
	for name, o := range map[string]hedge.Options{
		"by quantile":         {},
		"after a nanosecond":  {Delay: 1, MaxHedges: 3, Budget: retry.Unlimited},
		"after a millisecond": {Delay: time.Millisecond, Budget: retry.Unlimited},
	} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper { return newHedger(t, o).Middleware(next) })
		})
	}
}

func newHedger(t testing.TB, o hedge.Options) *hedge.Hedger {
	t.Helper()
	h, err := hedge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func send(ctx context.Context, h http.RoundTripper, method, content string) (string, int, error) {
	var r io.Reader
	if content != "" {
		r = strings.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://a.test/", r)
	if err != nil {
		panic(err)
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.StatusCode, err
}

func after(d time.Duration, r plytest.Reply) plytest.Reply {
	r.Wait = d
	return r
}

func TestFirstUsableAnswerWins(t *testing.T) {
	const s = time.Second
	bad, worse := plytest.Status(503, "X", "first"), plytest.ResetConnection()
	badToo := plytest.Status(500)
	for _, tt := range []struct {
		name   string
		first  plytest.Reply
		second plytest.Reply
		status int // zero for an error
		body   string
		took   time.Duration
		sent   int
	}{
		{"the first before the delay", after(s/2, plytest.Text("1")), plytest.Text("2"), 200, "1", s / 2, 1},
		{"the first after the delay", after(3*s/2, plytest.Text("1")), after(s, plytest.Text("2")), 200, "1", 3 * s / 2, 2},
		{"the copy", after(9*s, plytest.Text("1")), after(s, plytest.Text("2")), 200, "2", 2 * s, 2},
		{"the copy, of a request that never ends", plytest.Stall(), plytest.Text("2"), 200, "2", s, 2},
		{"not a fast 503 of the copy", after(5*s, plytest.Text("1")), bad, 200, "1", 5 * s, 2},
		{"not a 503 of the first", after(2*s, bad), after(5*s, plytest.Text("2")), 200, "2", 6 * s, 2},
		{"not an error of the first", after(2*s, worse), after(5*s, plytest.Text("2")), 200, "2", 6 * s, 2},
		{"a bad response rather than an error", after(2*s, worse), after(5*s, bad), 503, "", 6 * s, 2},
		{"a bad response rather than a later one", after(2*s, bad), after(5*s, badToo), 503, "", 6 * s, 2},
		{"a bad response rather than a later one of the first", after(5*s, badToo), bad, 503, "", 5 * s, 2},
		{"a bad response of the first rather than an earlier error", after(5*s, bad), worse, 503, "", 5 * s, 2},
		{"an error if there is nothing else", after(2*s, worse), after(5*s, worse), 0, "", 6 * s, 2},
		{"a failure before the delay is left to retry", after(s/2, bad), plytest.Text("2"), 503, "", s / 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(tt.first, tt.second)
				h := newHedger(t, hedge.Options{Delay: s}).Middleware(origin)
				start := time.Now()
				body, status, err := send(t.Context(), h, http.MethodGet, "")
				took := time.Since(start)
				if body != tt.body || status != tt.status || (err != nil) != (tt.status == 0) || took != tt.took {
					t.Errorf("%q, %d, %v after %v; want %q, %d after %v", body, status, err, took, tt.body, tt.status, tt.took)
				}
				if n := origin.Count(); n != tt.sent {
					t.Errorf("the origin saw %d requests, want %d", n, tt.sent)
				}
			})
		})
	}
}

// What loses is canceled, and what it brings is closed; what wins lives until its body has ended.
func TestLoserIsCanceledAndItsBodyClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loser := &tracked{Reader: strings.NewReader("late")}
		var first, second context.Context
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			if note.Hedge(req.Context()) == 0 {
				first = req.Context()
				<-first.Done() // and answers all the same, as a careless layer does
				return &http.Response{StatusCode: 200, Body: loser, Request: req}, nil
			}
			second = req.Context()
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("won")), Request: req}, nil
		})
		h := newHedger(t, hedge.Options{Delay: time.Second}).Middleware(next)
		req, _ := http.NewRequest(http.MethodGet, "http://a.test/", nil)
		resp, err := h.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if !loser.closed || !errors.Is(context.Cause(first), context.Canceled) || second.Err() != nil || resp.Request != req {
			t.Errorf("closed %v, canceled by %v, the winner's context %v", loser.closed, context.Cause(first), second.Err())
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "won" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		resp.Body.Close()
		if second.Err() == nil {
			t.Error("the winner's context outlives its body")
		}
	})
}

// A log below does not call a failure what was only not needed any more.
func TestLoserIsNoFailureInALogBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		next := log(plytest.NewOrigin(plytest.Stall(), plytest.Text("2")))
		body, _, err := send(t.Context(), newHedger(t, hedge.Options{Delay: time.Second}).Middleware(next), http.MethodGet, "")
		if err != nil || body != "2" || strings.Contains(out.String(), "level=WARN") || strings.Contains(out.String(), "level=ERROR") || !strings.Contains(out.String(), "error.type=canceled") {
			t.Errorf("%q, %v, log %s", body, err, &out)
		}
	})
}

type tracked struct {
	io.Reader
	closed bool
}

func (b *tracked) Close() error { b.closed = true; return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOnlyWhatMayBeSentTwiceIsHedged(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*http.Request) *http.Request
		want int
	}{
		{"GET", func(r *http.Request) *http.Request { return r }, 2},
		{"PUT with GetBody", func(r *http.Request) *http.Request { return withBody(r, http.MethodPut, true) }, 2},
		{"PUT without GetBody", func(r *http.Request) *http.Request { return withBody(r, http.MethodPut, false) }, 1},
		{"POST", func(r *http.Request) *http.Request { return withBody(r, http.MethodPost, true) }, 1},
		{"POST with a key", func(r *http.Request) *http.Request {
			r = withBody(r, http.MethodPost, true)
			r.Header.Set("Idempotency-Key", "k")
			return r
		}, 2},
		{"POST that is marked", func(r *http.Request) *http.Request {
			return withBody(r, http.MethodPost, true).WithContext(retry.WithIdempotent(r.Context()))
		}, 2},
		{"disabled", func(r *http.Request) *http.Request { return r.WithContext(hedge.Disable(r.Context())) }, 1},
		{"upgrade", func(r *http.Request) *http.Request { r.Header.Set("Upgrade", "x"); return r }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(after(5*time.Second, plytest.Text("ok")))
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
				resp, err := newHedger(t, hedge.Options{Delay: time.Second}).Middleware(origin).RoundTrip(tt.edit(req))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				synctest.Wait()
				seen := origin.Exchanges()
				if len(seen) != tt.want {
					t.Errorf("the origin saw %d requests, want %d", len(seen), tt.want)
				}
				for i, x := range seen {
					if string(x.Body) != string(seen[0].Body) {
						t.Errorf("request %d has the body %q, and the first %q", i+1, x.Body, seen[0].Body)
					}
				}
			})
		})
	}
}

func withBody(r *http.Request, method string, replayable bool) *http.Request {
	req, _ := http.NewRequestWithContext(r.Context(), method, r.URL.String(), strings.NewReader("content"))
	if !replayable {
		req.GetBody = nil
	}
	return req
}

func TestDelayIsTheQuantileOfWhatRequestsTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wait time.Duration
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			time.Sleep(wait)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		})
		g := newHedger(t, hedge.Options{Quantile: 0.9, MinSamples: 100})
		h := g.Middleware(next)
		for i := range 100 {
			if d, ok := g.Delay("a.test"); ok {
				t.Fatalf("after %d requests the delay is %v already", i, d)
			}
			wait = time.Duration(i+1) * time.Millisecond
			send(t.Context(), h, http.MethodGet, "")
		}
		if d, _ := g.Delay("a.test"); d != 90*time.Millisecond {
			t.Errorf("the delay is %v, want 90ms", d)
		}
	})
}

func TestHedgesStayWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Reserve: 3, Floor: -1}
		origin := plytest.NewOrigin(after(5*time.Second, plytest.Text("ok")))
		g := newHedger(t, hedge.Options{Delay: time.Second, Budget: b.For(budget.Hedge)})
		h := g.Middleware(origin)
		for range 10 {
			send(t.Context(), h, http.MethodGet, "")
		}
		s := b.Stats()
		if s.Calls != 10 || s.Hedges != 3 || s.Refused != 7 || s.Amplification != 1.3 || origin.Count() != 13 {
			t.Errorf("%+v, and the origin saw %d requests", s, origin.Count())
		}
		if s := g.Stats(); s != (hedge.Stats{Hedges: 3, Denied: 7}) {
			t.Errorf("%+v", s)
		}
	})
}

// A copy that a layer below has kept costs nothing.
func TestCopyThatWasNotSentIsRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Floor: -1}
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			if note.Hedge(req.Context()) > 0 {
				return nil, &kept{}
			}
			time.Sleep(5 * time.Second)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		})
		g := newHedger(t, hedge.Options{Delay: time.Second, Budget: b.For(budget.Hedge)})
		_, status, err := send(t.Context(), g.Middleware(next), http.MethodGet, "")
		if s := b.Stats(); status != 200 || s.Hedges != 0 || s.Amplification != 1 || g.Stats() != (hedge.Stats{}) {
			t.Errorf("%d, %v; %+v, %+v", status, err, s, g.Stats())
		}
	})
}

type kept struct{}

func (*kept) Error() string { return "kept" }
func (*kept) Unsent() bool  { return true }

// Without a retry layer above, calls that succeed without a copy pay into the budget, and no others.
func TestCallsThatNeedNoCopyPayForCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{Ratio: 0.5, Reserve: 10, Floor: -1}
		origin := plytest.NewOrigin(plytest.Stall(), plytest.Text("ok"), plytest.Text("ok"), plytest.Text("ok"), plytest.Status(503))
		h := newHedger(t, hedge.Options{Delay: time.Second, Budget: b.For(budget.Hedge)}).Middleware(origin)
		var tokens []float64
		for range 4 {
			send(t.Context(), h, http.MethodGet, "")
			tokens = append(tokens, b.Tokens("a.test"))
		}
		if diff := cmp.Diff([]float64{9, 9.5, 10, 10}, tokens); diff != "" {
			t.Error(diff)
		}
		b.For(budget.Hedge).Allow("a.test", retry.Outcome{})
		send(t.Context(), h, http.MethodGet, "")
		if got := b.Tokens("a.test"); got != 9 {
			t.Errorf("%v tokens after a call that failed, want 9", got)
		}
	})
}

// A request that a copy has beaten counts as slow as it was then, so that the delay does not shrink to what copies take.
func TestBeatenRequestsAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, copied := 200*time.Millisecond, 10*time.Millisecond
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			wait := slow
			if note.Hedge(req.Context()) > 0 {
				wait = copied
			}
			select {
			case <-time.After(wait):
				return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
		g := newHedger(t, hedge.Options{MinSamples: 1, Budget: retry.Unlimited})
		h := g.Middleware(next)
		send(t.Context(), h, http.MethodGet, "")
		slow = time.Second
		for range 40 {
			send(t.Context(), h, http.MethodGet, "")
		}
		if d, _ := g.Delay("a.test"); d < 200*time.Millisecond || g.Stats().Won != 40 {
			t.Errorf("the delay is %v after %+v, and requests take 200ms or more", d, g.Stats())
		}
	})
}

func TestMaxHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Stall(), plytest.Stall(), plytest.Stall(), plytest.Text("fourth"))
		h := newHedger(t, hedge.Options{Delay: time.Second, MaxHedges: 3}).Middleware(origin)
		start := time.Now()
		if body, _, err := send(t.Context(), h, http.MethodGet, ""); body != "fourth" || time.Since(start) != 3*time.Second {
			t.Errorf("%q, %v after %v", body, err, time.Since(start))
		}
	})
}

// A panic below a copy comes out where the caller is, and nowhere else.
func TestPanicOfACopyReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			if note.Hedge(req.Context()) > 0 {
				panic("of the copy")
			}
			time.Sleep(3 * time.Second)
			return nil, errors.New("failed")
		})
		h := newHedger(t, hedge.Options{Delay: time.Second}).Middleware(next)
		defer func() {
			if p := recover(); p != "of the copy" {
				t.Errorf("recovered %v", p)
			}
		}()
		send(t.Context(), h, http.MethodGet, "")
	})
}

// A hedge is part of one attempt of retry.
func TestRetryAndHedgeShareAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		origin := plytest.NewOrigin(plytest.Stall(), plytest.Status(503), plytest.Text("ok"))
		h := retry.New(retry.Options{Budget: b, AttemptTimeout: 10 * time.Second})(
			newHedger(t, hedge.Options{Delay: time.Second, Budget: b.For(budget.Hedge)}).Middleware(origin))
		ctx, info := retry.WithInfo(t.Context())
		body, _, err := send(ctx, h, http.MethodGet, "")
		i, _ := info()
		if body != "ok" || len(i.Attempts) != 2 || origin.Count() != 3 {
			t.Errorf("%q, %v, %+v, %d requests", body, err, i, origin.Count())
		}
		if s := b.Stats(); s.Calls != 1 || s.Retries != 1 || s.Hedges != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBadOptionsAreErrors(t *testing.T) {
	for field, o := range map[string]hedge.Options{
		"Delay":      {Delay: -1},
		"Quantile":   {Quantile: 1},
		"MinSamples": {MinSamples: 1000},
		"MaxHedges":  {MaxHedges: -1},
		"Budget":     {Budget: &budget.Budget{Ratio: -1}},
	} {
		var bad *hedge.OptionError
		if _, err := hedge.New(o); !errors.As(err, &bad) || bad.Option != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
