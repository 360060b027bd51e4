package cache_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// at waits until a time after begin.
func at(begin time.Time, after time.Duration) { time.Sleep(time.Until(begin.Add(after))) }

// A hit in the last fifth of the lifetime is answered at once, and has the response refreshed: what is asked for often enough never makes a caller wait.
func TestAHitLateInTheLifetimeRefreshesAhead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		tell := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, what)
		}
		o := numbered("Cache-Control: max-age=100")
		o.delay = time.Second
		g := newRig(t, o, cache.Options{Expiry: expiry.Ahead(nil, 0.8), Trace: &cache.Trace{
			RefreshAhead: func(_ *http.Request, paid bool) { tell(fmt.Sprint("ahead ", paid)) },
			Answered:     func(_ *http.Request, s cache.Status) { tell(s.Outcome() + " " + string(s.Fwd)) },
		}})
		g.get(url)
		begin := time.Now()
		for _, step := range []struct {
			at   time.Duration
			body string
		}{{50 * time.Second, "1"}, {78 * time.Second, "1"}, {85 * time.Second, "1"}, {110 * time.Second, "2"}, {170 * time.Second, "2"}, {200 * time.Second, "3"}} {
			at(begin, step.at)
			before := time.Now()
			have, _ := g.get(url)
			if want := (got{200, step.body, "hit"}); have != want || time.Since(before) != 0 {
				t.Errorf("after %v: %v in %v, want %v at once", step.at, have, time.Since(before), want)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		if s := g.Stats(); len(o.asked) != 3 || s.Ahead != 2 || s.AheadRefused != 0 {
			t.Errorf("%d requests, ahead %d, refused %d; want 3, 2, 0", len(o.asked), s.Ahead, s.AheadRefused)
		}
		want := "miss uri-miss, hit , hit , ahead true, hit , refreshed request, hit , ahead true, hit , refreshed request, hit "
		if diff := cmp.Diff(want, strings.Join(told, ", ")); diff != "" {
			t.Errorf("what the trace heard (-want +got)\n%s", diff)
		}
	})
}

// Of a herd of hits one refreshes, and a confirmation is enough.
func TestAHerdRefreshesAheadOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{delay: time.Second, answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == `"1"` {
				return reply(304, "", "Cache-Control: max-age=100", `Etag: "1"`)
			}
			return reply(200, "x", "Cache-Control: max-age=100", `Etag: "1"`)
		}}
		g := newRig(t, o, cache.Options{Expiry: expiry.Ahead(nil, 0.5)})
		g.get(url)
		time.Sleep(60 * time.Second)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				resp, err := g.rt.RoundTrip(must(http.NewRequest("GET", url, nil)))
				if err != nil {
					t.Error(err)
					return
				}
				readAll(resp)
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		have, resp := g.get(url)
		g.want(have, 200, "x", "hit", 2)
		if age := resp.Header.Get("Age"); age != "10" && age != "9" {
			t.Errorf("Age %s: the confirmation has not been taken", age)
		}
	})
}

// Who asks for nothing of the origin has nothing refreshed.
func TestWhatHasNothingRefreshedAhead(t *testing.T) {
	for name, test := range map[string]struct {
		expiry expiry.Strategy
		mode   cache.Mode
		header string
		after  time.Duration
	}{
		"only-if-cached":         {expiry: expiry.Ahead(nil, 0.5), header: "Cache-Control: only-if-cached"},
		"ModeOnlyIfCached":       {expiry: expiry.Ahead(nil, 0.5), mode: cache.ModeOnlyIfCached},
		"ModeReadOnly":           {expiry: expiry.Ahead(nil, 0.5), mode: cache.ModeReadOnly},
		"too early":              {expiry: expiry.Ahead(nil, 0.7)},
		"never":                  {expiry: expiry.Ahead(nil, 1)},
		"no strategy for it":     {},
		"XFetch of a quick one":  {expiry: expiry.XFetch(nil, 1)},
		"XFetch of no eagerness": {expiry: expiry.XFetch(nil, 0), after: 99 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("x", "Cache-Control: max-age=100"), cache.Options{Expiry: test.expiry})
				g.get(url)
				time.Sleep(max(test.after, 60*time.Second))
				r := must(http.NewRequestWithContext(cache.WithMode(t.Context(), test.mode), "GET", url, nil))
				if name, value, ok := strings.Cut(test.header, ": "); ok {
					r.Header.Set(name, value)
				}
				for range 10 {
					have, _ := g.send(r)
					g.want(have, 200, "x", "hit", 1)
				}
				synctest.Wait()
				if len(g.origin.asked) != 1 || g.Stats().Ahead != 0 {
					t.Errorf("%d requests", len(g.origin.asked))
				}
			})
		})
	}
}

// XFetch begins the earlier the longer a fetch takes.
func TestXFetchWeighsWhatAFetchTakes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		early := func(takes time.Duration, rounds int) (sum time.Duration) {
			for i := range rounds {
				o := numbered("Cache-Control: max-age=1000")
				o.delay = takes
				g := newRig(t, o, cache.Options{Expiry: expiry.XFetch(nil, 1)})
				g.get(url)
				begin := time.Now()
				time.Sleep(1000*time.Second - 20*takes) // before that, a hit fetches with a chance of less than e^-20
				for g.Stats().Ahead == 0 && time.Since(begin) < 1000*time.Second {
					g.get(url)
					time.Sleep(time.Second)
				}
				if g.Stats().Ahead != 1 {
					t.Fatalf("round %d, %v: %d refreshes ahead", i, takes, g.Stats().Ahead)
				}
				sum += 1000*time.Second - time.Since(begin)
				time.Sleep(takes)
				require.NoError(t, g.Close())
			}
			return sum / time.Duration(rounds)
		}
		// With a hit in each second, the mean is near δ·ln δ: 23 and 460 seconds.
		quick, slow := early(10*time.Second, 20), early(100*time.Second, 10)
		if quick < 8*time.Second || quick > 80*time.Second || slow < 200*time.Second || slow > 800*time.Second {
			t.Errorf("refreshed %v before the end where a fetch takes 10 s, and %v before where it takes 100 s", quick, slow)
		}
	})
}

// The budget is asked with the host, pays once for each refresh, and gets back what was not sent.
func TestRefreshesAheadArePaidFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var hosts []string
		left, refunds := 1, 0
		g := newRig(t, numbered("Cache-Control: max-age=100"), cache.Options{Expiry: expiry.Ahead(nil, 0.5), RefreshBudget: func(host string) (func(), bool) {
			hosts = append(hosts, host)
			left--
			return func() { refunds++ }, left >= 0
		}})
		g.get(url)
		for range 3 {
			time.Sleep(60 * time.Second)
			for range 5 {
				g.get(url)
				synctest.Wait()
			}
		}
		if s := g.Stats(); s.Ahead != 1 || s.AheadRefused != 1 || refunds != 0 || fmt.Sprint(hosts) != "[example.com example.com]" {
			t.Errorf("ahead %d, refused %d, refunds %d, hosts %v", s.Ahead, s.AheadRefused, refunds, hosts)
		}
	})
}

type lastOutcome struct{ Status int }

type account struct{ asked []string }

func (a *account) Allow(key string, last lastOutcome) (refund func(), ok bool) {
	a.asked = append(a.asked, fmt.Sprint(key, last.Status))
	return nil, len(a.asked) > 1
}

func TestFromBudgetAsksABudgetOfAnotherLayer(t *testing.T) {
	a := &account{}
	pay := cache.FromBudget(a)
	_, first := pay("h")
	_, second := pay("h")
	if first || !second || fmt.Sprint(a.asked) != "[h0 h0]" {
		t.Errorf("%t, %t, %v", first, second, a.asked)
	}
}

// An origin that fails, or has nothing that can be stored, is not asked with every hit; what is fresh is served to its end.
func TestAFailedRefreshAheadIsTriedAFewTimes(t *testing.T) {
	for name, fail := range map[string]func(o *origin) *http.Response{
		"no answer":  func(o *origin) *http.Response { o.err = errors.New("down"); return nil },
		"503":        func(*origin) *http.Response { return reply(503, "") },
		"404":        func(*origin) *http.Response { return reply(404, "") },
		"unstorable": func(*origin) *http.Response { return reply(500, "", "Cache-Control: no-store") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := says("x", "Cache-Control: max-age=100")
				g := newRig(t, o, cache.Options{Expiry: expiry.Ahead(nil, 0.8)})
				g.get(url)
				time.Sleep(80 * time.Second)
				synctest.Wait()
				if name == "no answer" {
					fail(o)
				} else {
					o.answer = func(*http.Request) *http.Response { return fail(o) }
				}
				for range 1990 {
					have, _ := g.get(url)
					if have != (got{200, "x", "hit"}) {
						t.Fatalf("%v", have)
					}
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait()
				if n := len(o.asked) - 1; n < 5 || n > 20 {
					t.Errorf("the origin was asked %d times in the last 20 seconds, want a few", n)
				}
			})
		})
	}
}

// Processes that share a store and take leases refresh once between them, and what the others have paid comes back.
func TestProcessesRefreshAheadOnce(t *testing.T) {
	for name, tiers := range map[string]bool{"a store": false, "copies in memory before it": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := storetest.NewMap(1 << 24)
				o := &slowOrigin{}
				var spent atomic.Int64
				var rts []http.RoundTripper
				var caches []*cache.Cache
				for range 5 {
					options := cache.Options{Store: m.Open(), Lease: 10 * time.Second, Expiry: expiry.Ahead(nil, 0.5), RefreshBudget: func(string) (func(), bool) {
						spent.Add(1)
						return func() { spent.Add(-1) }, true
					}}
					if tiers {
						options.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), options.Store)
					}
					c := must(cache.New(options))
					t.Cleanup(func() { c.Close() })
					caches, rts = append(caches, c), append(rts, c.Middleware(o))
				}
				get := func(rt http.RoundTripper) {
					resp, err := rt.RoundTrip(must(http.NewRequest("GET", url, nil)))
					if err != nil {
						t.Error(err)
						return
					}
					readAll(resp)
				}
				for _, rt := range rts {
					get(rt)
				}
				for round := range 3 {
					time.Sleep(60 * time.Second)
					for _, rt := range rts {
						go get(rt)
					}
					time.Sleep(5 * time.Second)
					for _, rt := range rts {
						get(rt)
					}
					time.Sleep(5 * time.Second)
					if asked := o.asked.Load(); asked != int64(round)+2 || spent.Load() != int64(round)+1 {
						t.Errorf("round %d: %d requests, %d paid for, want %d and %d", round, asked, spent.Load(), round+2, round+1)
					}
				}
				ahead := int64(0)
				for _, c := range caches {
					ahead += c.Stats().Ahead
				}
				if ahead != 3 {
					t.Errorf("the caches count %d refreshes ahead, want 3", ahead)
				}
			})
		})
	}
}

// slowOrigin answers after a second.
type slowOrigin struct{ asked atomic.Int64 }

func (o *slowOrigin) RoundTrip(*http.Request) (*http.Response, error) {
	o.asked.Add(1)
	time.Sleep(time.Second)
	return reply(200, "x", "Cache-Control: max-age=100"), nil
}

// What slides is refreshed ahead as well: its uses put the end off, but not the refresh.
func TestASlidingLifetimeIsRefreshedAhead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, numbered(), cache.Options{Expiry: expiry.Ahead(expiry.Sliding(expiry.After(100*time.Second)), 0.5)})
		for range 12 {
			g.get(url)
			time.Sleep(20 * time.Second)
		}
		synctest.Wait()
		if n := len(g.origin.asked); n < 4 || n > 5 {
			t.Errorf("%d requests in 240 seconds, want one each 60", n)
		}
	})
}
