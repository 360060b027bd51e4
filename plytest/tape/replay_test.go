package tape_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest/tape"
)

func replay(t *testing.T, recorded *tape.Tape, chain func(http.RoundTripper) (http.RoundTripper, error)) (report *tape.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		report, err = tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: chain})
		require.NoError(t, err)
	})
	return report
}

type closingHandler struct {
	http.RoundTripper
	io.Closer
}

func cached(o cache.Options) func(http.RoundTripper) (http.RoundTripper, error) {
	return func(origin http.RoundTripper) (http.RoundTripper, error) {
		c, err := cache.New(o)
		if err != nil {
			return nil, err
		}
		return closingHandler{c.Middleware(origin), c}, nil
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// watched is a chain without layers that holds each exchange to the recorded one, which the field Id of the request names.
func watched(t *testing.T, recorded *tape.Tape) func(http.RoundTripper) (http.RoundTripper, error) {
	return func(origin http.RoundTripper) (http.RoundTripper, error) {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			i, err := strconv.Atoi(r.Header.Get("Id"))
			if err != nil {
				return nil, err
			}
			e := recorded.Exchanges[i]
			began := time.Now()
			if want := recorded.Start.Add(e.At); !began.Equal(want) {
				t.Errorf("request %d sent at %v, want %v", i, began, want)
			}
			resp, err := origin.RoundTrip(r)
			if e.Response == nil {
				if err == nil || err.Error() != e.Failure.Text || time.Since(began) != e.Failure.At {
					t.Errorf("request %d fails after %v with %v, want %+v", i, time.Since(began), err, e.Failure)
				}
				return resp, err
			}
			if err != nil || time.Since(began) != e.Response.Wait || resp.StatusCode != e.Response.Status {
				t.Errorf("request %d: %v, %v after %v, want %+v", i, resp, err, time.Since(began), e.Response)
				return resp, err
			}
			if d := cmp.Diff(e.Response.Header, resp.Header); d != "" {
				t.Errorf("request %d: header: %s", i, d)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(body, e.Response.Body()) {
				t.Errorf("request %d: %d bytes and %v, want %d bytes", i, len(body), err, len(e.Response.Body()))
			}
			if last := e.Response.Chunks[len(e.Response.Chunks)-1].At; time.Since(began) != e.Response.Wait+last {
				t.Errorf("request %d ends after %v, want %v", i, time.Since(began), e.Response.Wait+last)
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return resp, nil
		}), nil
	}
}

func numbered(recorded *tape.Tape) *tape.Tape {
	for i, e := range recorded.Exchanges {
		e.Request.Header.Set("Id", strconv.Itoa(i))
	}
	return recorded
}

func TestChainWithoutLayersReproducesTheTape(t *testing.T) {
	recorded := numbered(traffic.Week(1, 2000))
	r := replay(t, recorded, watched(t, recorded))
	if r.Requests != 2000 || r.OriginRequests != 2000 || r.BytesOrigin != r.BytesToCallers {
		t.Errorf("not the tape's:\n%s", r)
	}
	for name, n := range map[string]int{
		"hits": r.Hits, "collapsed": r.Collapsed, "stale": r.Stale, "out of date": r.OutOfDate, "revalidated": r.Revalidated,
		"retries": r.Retries, "hedges": r.Hedges, "unknown": r.Unknown,
	} {
		if n != 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
	if r.Errors == 0 || r.ServerErrors == 0 {
		t.Errorf("the tape has failures, the report none:\n%s", r)
	}
	if d := cmp.Diff(r, replay(t, recorded, nil)); d != "" {
		t.Errorf("without a chain: %s", d)
	}
}

// A bubble begins in 2000, so dates of an older tape move.
func TestOldTapeIsReplayedInYearsToCome(t *testing.T) {
	recorded := traffic.Week(2, 300)
	now := replay(t, recorded, cached(cache.Options{}))
	for _, years := range []int{-40, -400} {
		old := moved(recorded, years)
		past := replay(t, old, cached(cache.Options{}))
		if !past.Start.Equal(old.Start) {
			t.Errorf("start: %v, want %v", past.Start, old.Start)
		}
		past.Start = now.Start
		if d := cmp.Diff(now, past); d != "" {
			t.Errorf("%d years: %s", years, d)
		}
	}
}

// moved returns the tape in another year, to the day of the week.
func moved(recorded *tape.Tape, years int) *tape.Tape {
	by := time.Duration(years) * 52 * 7 * 24 * time.Hour
	if years < -290 {
		by = -290 * 52 * 7 * 24 * time.Hour
	}
	m := &tape.Tape{Start: recorded.Start.Add(by)}
	for _, e := range recorded.Exchanges {
		c := *e
		if e.Response != nil {
			r := *e.Response
			r.Header = r.Header.Clone()
			for _, name := range []string{"Date", "Last-Modified"} {
				if d, err := http.ParseTime(r.Header.Get(name)); err == nil {
					r.Header.Set(name, d.Add(by).Format(http.TimeFormat))
				}
			}
			c.Response = &r
		}
		m.Exchanges = append(m.Exchanges, &c)
	}
	return m
}

func TestCacheSavesRequestsAndNeverMixesPrincipals(t *testing.T) {
	recorded := traffic.Week(3, 3000)
	bare := replay(t, recorded, nil)
	r := replay(t, recorded, cached(cache.Options{}))
	if r.Hits == 0 || r.Revalidated == 0 || r.OriginRequests >= bare.OriginRequests || r.BytesOrigin >= bare.BytesOrigin || r.P50 >= bare.P50 || r.Unknown != 0 {
		t.Errorf("the cache is of no use:\n%s", tape.Comparison{bare, r})
	}
	if r.OutOfDate == 0 || r.OutOfDate > r.Hits/4 {
		t.Errorf("%d of %d hits are out of date; lists change while they are fresh", r.OutOfDate, r.Hits)
	}
	forever := replay(t, recorded, cached(cache.Options{Expiry: expiry.NeverExpires()}))
	if forever.OriginRequests > r.OriginRequests || forever.OutOfDate <= r.OutOfDate {
		t.Errorf("what is fresh forever must cost no more requests and be out of date more often:\n%s", tape.Comparison{r, forever})
	}
}

func TestMoreTrafficNeverMeansFewerRequests(t *testing.T) {
	all := traffic.Week(4, 1200)
	var before *tape.Report
	for n := 300; n <= 1200; n += 300 {
		r := replay(t, &tape.Tape{Start: all.Start, Exchanges: all.Exchanges[:n]}, cached(cache.Options{}))
		if before != nil && (r.OriginRequests < before.OriginRequests || r.Hits < before.Hits || r.Wait < before.Wait) {
			t.Errorf("%d requests: %s", n, tape.Comparison{before, r})
		}
		before = r
	}
}

func TestRequestsOverlapAsTheyDid(t *testing.T) {
	const second = time.Second
	slow := func(at time.Duration) *tape.Exchange { return okay(at, "https://a.example/x", "v", 2*second) }
	recorded := &tape.Tape{Start: traffic.Start, Exchanges: []*tape.Exchange{slow(0), slow(second), slow(1500 * time.Millisecond), slow(100 * second)}}
	most, now := 0, 0
	var mu sync.Mutex
	r := replay(t, recorded, func(origin http.RoundTripper) (http.RoundTripper, error) {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			defer func() { mu.Lock(); defer mu.Unlock(); now-- }()
			return origin.RoundTrip(r)
		}), nil
	})
	if most != 3 || r.Wait != 8*second || r.Span != 102*second {
		t.Errorf("%d at a time:\n%s", most, r)
	}
	r = replay(t, recorded, cached(cache.Options{}))
	if r.Collapsed != 2 || r.OriginRequests != 2 || r.Wait != 2*second+second+500*time.Millisecond+2*second {
		t.Errorf("those that overlap share a request:\n%s", r)
	}
}

func TestReplayEndsWithItsContext(t *testing.T) {
	recorded := traffic.Week(5, 500)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var sent atomic.Int64
		r, err := tape.Replay(ctx, recorded, tape.ReplayOptions{Name: "mine", Chain: func(origin http.RoundTripper) (http.RoundTripper, error) {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if sent.Add(1) == 10 {
					cancel()
				}
				return origin.RoundTrip(r)
			}), nil
		}})
		if r != nil || !errors.Is(err, context.Canceled) || sent.Load() > 11 {
			t.Errorf("%v, %v after %d requests", r, err, sent.Load())
		}
	})
}

// endless is a body without an end.
type endless struct{ read func() }

func (e endless) Read(p []byte) (int, error) {
	e.read()
	return len(p), nil
}
func (endless) Close() error { return nil }

func TestReplayOfABodyWithoutAnEndEndsWithItsContext(t *testing.T) {
	recorded := traffic.Week(5, 1)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reads := 0
		r, err := tape.Replay(ctx, recorded, tape.ReplayOptions{Chain: func(http.RoundTripper) (http.RoundTripper, error) {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, ContentLength: -1, Body: endless{func() {
					if reads++; reads == 10 {
						cancel()
					}
				}}}, nil
			}), nil
		}})
		if r != nil || !errors.Is(err, context.Canceled) || reads != 10 {
			t.Errorf("%v, %v after %d reads", r, err, reads)
		}
	})
}

func TestReplayReportsWhatAChainDoesWrong(t *testing.T) {
	recorded := traffic.Week(6, 20)
	broken := errors.New("no such policy")
	for name, c := range map[string]struct {
		chain func(http.RoundTripper) (http.RoundTripper, error)
		want  string
	}{
		"cannot be built":   {func(http.RoundTripper) (http.RoundTripper, error) { return nil, broken }, `tape: replay "replay": no such policy`},
		"is nil":            {func(http.RoundTripper) (http.RoundTripper, error) { return nil, nil }, `tape: replay "replay": the chain is nil`},
		"panics when built": {func(http.RoundTripper) (http.RoundTripper, error) { panic("oh") }, `tape: replay "replay": the chain panicked: oh`},
		"panics": {func(http.RoundTripper) (http.RoundTripper, error) {
			return roundTrip(func(*http.Request) (*http.Response, error) { panic("oh") }), nil
		}, `tape: replay "replay": the chain panicked: oh`},
		"does not close": {func(o http.RoundTripper) (http.RoundTripper, error) {
			return closingHandler{o, closeFunc(func() error { return broken })}, nil
		}, `tape: replay "replay": no such policy`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: c.chain}) // in a bubble of its own
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	for name, chain := range map[string]func(http.RoundTripper) (http.RoundTripper, error){
		"hangs": func(http.RoundTripper) (http.RoundTripper, error) {
			return roundTrip(func(*http.Request) (*http.Response, error) { <-make(chan int); return nil, nil }), nil
		},
		"leaves a goroutine": func(o http.RoundTripper) (http.RoundTripper, error) {
			go func() { <-make(chan int) }()
			return o, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: chain})
			require.ErrorContains(t, err, "the chain never came to rest (deadlock: ")
		})
	}
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

func TestReplaysMayRunAtTheSameTimeOutsideABubble(t *testing.T) {
	recorded := traffic.Week(7, 200)
	want, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: cached(cache.Options{})})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: cached(cache.Options{})})
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Error(err, d)
			}
		})
	}
	wg.Wait()
}

func TestReplayRefusesTapesThatAreNone(t *testing.T) {
	for name, recorded := range map[string]*tape.Tape{
		"nil":                nil,
		"neither answered":   {Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "https://a.example/"}}}},
		"not a URL":          {Exchanges: []*tape.Exchange{okay(0, "https://a b/", "", 0)}},
		"an exchange is nil": {Exchanges: []*tape.Exchange{nil}},
	} {
		if r, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{}); err == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
	r, err := tape.Replay(t.Context(), &tape.Tape{}, tape.ReplayOptions{})
	require.NoError(t, err)
	if r.Requests != 0 || r.Amplification() != 1 {
		t.Errorf("an empty tape:\n%s", r)
	}
}

// okay is an exchange that went well.
func okay(at time.Duration, url, body string, wait time.Duration, fields ...string) *tape.Exchange {
	e := &tape.Exchange{At: at, Request: tape.Request{URL: url, Header: http.Header{}}, Response: &tape.Response{
		Status: http.StatusOK, Wait: wait, Length: int64(len(body)),
		Header: http.Header{"Date": {traffic.Start.Add(at + wait).Format(http.TimeFormat)}, "Cache-Control": {"max-age=60"}},
	}}
	if body != "" {
		e.Response.Chunks = []tape.Chunk{{Data: []byte(body)}}
	}
	for i := 0; i < len(fields); i += 2 {
		e.Response.Header.Set(fields[i], fields[i+1])
	}
	return e
}
