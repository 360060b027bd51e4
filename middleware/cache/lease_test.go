package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

const leased = 10 * time.Second

// contention is more than what it takes to change a record in turn with two others, which pause for random times.
const contention = 100 * time.Millisecond

// ways are the ways in which processes share a store.
var ways = map[string]func(*storetest.Map) store.Store{
	"asking":        func(m *storetest.Map) store.Store { return plain{m.Open()} },
	"told":          func(m *storetest.Map) store.Store { return m.Open() },
	"tiers, asking": func(m *storetest.Map) store.Store { return cache.Tiered(near(), plain{m.Open()}) },
	"tiers, told":   func(m *storetest.Map) store.Store { return cache.Tiered(near(), m.Open()) },
}

// inEachWay runs a test with stores that processes share in each way.
func inEachWay(t *testing.T, f func(t *testing.T, m *storetest.Map, open func() store.Store)) {
	t.Helper()
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := storetest.NewMap(1 << 26)
				f(t, m, func() store.Store { return open(m) })
			})
		})
	}
}

// newFleet returns n caches before one origin, as if they were in processes of their own.
func newFleet(t *testing.T, n int, o *busy, open func() store.Store, options cache.Options) (caches []*cache.Cache, chains []http.RoundTripper) {
	t.Helper()
	for range n {
		if options.Store = open(); options.Lease == 0 {
			options.Lease = leased
		}
		c, rt := newBusy(t, o, options)
		caches, chains = append(caches, c), append(chains, rt)
	}
	return caches, chains
}

// answered is one answer as a caller got it.
type answered struct {
	got
	took time.Duration
	err  error
}

// fetches sends a GET and reads the answer to its end.
func fetches(ctx context.Context, rt http.RoundTripper, url string, fields ...string) answered {
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	begun := time.Now()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return answered{took: time.Since(begun), err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	s, _ := cache.StatusOf(resp)
	outcome := s.Outcome()
	if s.Collapsed {
		outcome = "collapsed"
	}
	return answered{got{resp.StatusCode, string(body), outcome}, time.Since(begun), err}
}

// together sends n requests through each chain at one time, and counts the outcomes. Each answer has to be whole.
func together(t *testing.T, n int, chains []http.RoundTripper, url string) (outcomes map[string]int, slowest time.Duration) {
	t.Helper()
	outcomes = make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, rt := range chains {
		for range n {
			wg.Go(func() {
				a := fetches(t.Context(), rt, url)
				_, _, wrong := unsealed(a.Body)
				mu.Lock()
				defer mu.Unlock()
				if a.err != nil || wrong != nil {
					t.Errorf("%v %v", a.err, wrong)
				}
				outcomes[a.Outcome]++
				slowest = max(slowest, a.took)
			})
		}
	}
	wg.Wait()
	return outcomes, slowest
}

// noLeases reports whether each process has given back what it held.
func noLeases(t *testing.T, m *storetest.Map) {
	t.Helper()
	synctest.Wait()
	if left := keys(t, m, store.KindLease); len(left) > 0 {
		t.Errorf("left in the store: %v", left)
	}
}

// Many ask three processes for what none of them has: the origin is asked once, and once again when the answer has to be validated.
func TestLeaseOneFetchAcrossProcesses(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		body := sealed(url, 1, 20_000)
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Second)
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", "Etag: \"a\"", "Cache-Control: max-age=60"), nil
			}
			return slowly(r, body, "Cache-Control: max-age=60", "Etag: \"a\""), nil
		}}
		caches, chains := newFleet(t, 3, o, open, cache.Options{})
		outcomes, slowest := together(t, 100, chains, url)
		if diff := cmp.Diff(map[string]int{"miss": 1, "collapsed": 299}, outcomes); diff != "" || o.asked.Load() != 1 || slowest > 3*time.Second+contention {
			t.Errorf("the origin was asked %d times, the slowest took %v\n%s", o.asked.Load(), slowest, diff)
		}
		noLeases(t, m)
		if outcomes, _ = together(t, 100, chains, url); outcomes["hit"] != 300 {
			t.Errorf("afterwards: %v", outcomes)
		}
		time.Sleep(2 * time.Minute)
		outcomes, slowest = together(t, 100, chains, url)
		if diff := cmp.Diff(map[string]int{"revalidated": 1, "collapsed": 299}, outcomes); diff != "" || o.asked.Load() != 2 || slowest > 2*time.Second+contention {
			t.Errorf("validation: the origin was asked %d times, the slowest took %v\n%s", o.asked.Load(), slowest, diff)
		}
		noLeases(t, m)
		var sum cache.Stats
		for _, c := range caches {
			s := c.Stats()
			sum.Misses, sum.Revalidated, sum.Collapsed, sum.Hits = sum.Misses+s.Misses, sum.Revalidated+s.Revalidated, sum.Collapsed+s.Collapsed, sum.Hits+s.Hits
		}
		if sum.Collapsed != 598 || sum.Hits != 300 || sum.Misses+sum.Revalidated != 600 {
			t.Errorf("counted: %+v", sum)
		}
	})
}

// An answer that is stale when its body has come to its end is for all who have waited for it all the same.
func TestLeaseWaitersGetResponseThatIsStaleAtItsEnd(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return slowly(r, sealed(url, n, 1000), "Cache-Control: max-age=1"), nil
		}}
		_, chains := newFleet(t, 3, o, open, cache.Options{})
		if _, slowest := together(t, 10, chains, url); o.asked.Load() != 1 || slowest > 6*time.Second+contention {
			t.Errorf("the origin was asked %d times, the slowest took %v", o.asked.Load(), slowest)
		}
		noLeases(t, m)
	})
}

// A process that dies while it holds a lease costs the others no more than the lease.
func TestLeaseOfDeadHolderExpires(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		dead, cancel := context.WithCancel(t.Context())
		_, dying := newBusy(t, &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
			<-dead.Done()
			return nil, dead.Err()
		}}, cache.Options{Store: open(), Lease: leased})
		go fetches(t.Context(), dying, url)
		synctest.Wait()
		time.Sleep(time.Second)
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(time.Second)
			return sends(sealed(url, 1, 10), "Cache-Control: max-age=60"), nil
		}}
		_, chains := newFleet(t, 2, o, open, cache.Options{})
		begun := time.Now()
		outcomes, slowest := together(t, 10, chains, url)
		if took := time.Since(begun); took < leased-time.Second || slowest > leased+time.Second+200*time.Millisecond || o.asked.Load() > 2 {
			t.Errorf("%v: %v, the slowest took %v, the origin was asked %d times", took, outcomes, slowest, o.asked.Load())
		}
		cancel()
	})
}

// What cannot be shared delays callers no longer than it takes to find that out, and then none for a while.
func TestLeaseUnshareableResponseReleasesWaiters(t *testing.T) {
	for name, fields := range map[string][]string{
		"no-store": {"Cache-Control: no-store"}, "no-cache": {"Cache-Control: no-cache", `Etag: "a"`}, "no lifetime": {"Cache-Control: max-age=0", `Etag: "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
				o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
					time.Sleep(2 * time.Second)
					return sends(sealed(url, 1, 10), fields...), nil
				}}
				_, chains := newFleet(t, 3, o, open, cache.Options{})
				if outcomes, slowest := together(t, 30, chains, url); o.asked.Load() != 90 || slowest > 4*time.Second+600*time.Millisecond {
					t.Errorf("%v, the slowest took %v, the origin was asked %d times", outcomes, slowest, o.asked.Load())
				}
				if outcomes, slowest := together(t, 30, chains, url); slowest > 2*time.Second+contention {
					t.Errorf("%v, the slowest took %v the second time", outcomes, slowest)
				}
				time.Sleep(time.Minute)
				noLeases(t, m)
			})
		})
	}
}

// An origin that fails is not asked by one process after the other.
func TestLeaseFailureReleasesAllWaiters(t *testing.T) {
	failing := map[string]func() (*http.Response, error){
		"error": func() (*http.Response, error) { return nil, errors.New("refused") },
		"503":   func() (*http.Response, error) { return reply(503, "busy"), nil },
	}
	for name, fail := range failing {
		t.Run(name, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
				o := &busy{answer: func(*http.Request, int) (*http.Response, error) { time.Sleep(2 * time.Second); return fail() }}
				_, chains := newFleet(t, 5, o, open, cache.Options{})
				var wg sync.WaitGroup
				for _, rt := range chains {
					wg.Go(func() {
						if a := fetches(t.Context(), rt, url); a.took > 4*time.Second+600*time.Millisecond {
							t.Errorf("%+v", a)
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Minute)
				noLeases(t, m)
			})
		})
	}
}

// Two people, and two variants that are known to be two, do not wait for each other.
func TestLeaseIsPerPrincipalAndVariant(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Second)
			return sends(r.Header.Get("Authorization")+r.Header.Get("Accept-Language"), "Cache-Control: max-age=60", "Vary: Accept-Language"), nil
		}}
		_, chains := newFleet(t, 2, o, open, cache.Options{Key: keying.Default()})
		ask := func(field string) {
			t.Helper()
			var wg sync.WaitGroup
			for i, rt := range chains {
				wg.Go(func() {
					value := fmt.Sprint(field[len(field)-1:], i)
					if a := fetches(t.Context(), rt, url, fmt.Sprint(field, i)); a.took.Round(time.Second/10) != time.Second || a.Body != value || a.Outcome != "miss" {
						t.Errorf("%+v, want %q", a, value)
					}
				})
			}
			wg.Wait()
		}
		ask("Authorization: A")
		fetches(t.Context(), chains[0], url, "Accept-Language: xx")
		time.Sleep(2 * time.Second) // copies near are looked at again
		ask("Accept-Language: L")
		noLeases(t, m)
	})
}

// Who asks after an invalidation does not wait for what was asked for before it.
func TestLeaseInvalidationEndsTheWait(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		state := "old"
		var mu sync.Mutex
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == "POST" {
				state = "new"
				return reply(204, ""), nil
			}
			resp := sends(state, "Cache-Control: max-age=60")
			mu.Unlock()
			time.Sleep(4 * time.Second)
			mu.Lock()
			return resp, nil
		}}
		_, chains := newFleet(t, 3, o, open, cache.Options{})
		fetches(t.Context(), chains[0], "http://h/other") // the store is in use
		var wg sync.WaitGroup
		wg.Go(func() {
			if a := fetches(t.Context(), chains[0], url); a.Body != "old" {
				t.Errorf("asked before: %+v", a)
			}
		})
		time.Sleep(time.Second)
		r, _ := http.NewRequestWithContext(t.Context(), "POST", url, nil)
		readAll(roundTrip(t, chains[1], r))
		for _, rt := range chains[1:] {
			wg.Go(func() {
				if a := fetches(t.Context(), rt, url); a.Body != "new" || a.took > 5*time.Second+contention {
					t.Errorf("asked afterwards: %+v", a)
				}
			})
		}
		wg.Wait()
		if a := fetches(t.Context(), chains[0], url); a.Body != "new" || a.Outcome != "hit" || o.asked.Load() != 4 {
			t.Errorf("in the end: %+v, the origin was asked %d times", a, o.asked.Load())
		}
		noLeases(t, m)
	})
}

// A caller who waits for another process and leaves, leaves at once. One who leads leaves the others a lease that is free.
func TestLeaseWaiterOrLeaderMayLeave(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			select {
			case <-time.After(5 * time.Second):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			return sends(sealed(url, n, 10), "Cache-Control: max-age=60"), nil
		}}
		_, chains := newFleet(t, 3, o, open, cache.Options{})
		var wg sync.WaitGroup
		ask := func(rt http.RoundTripper, leaves, least, most time.Duration, want error) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), leaves)
				defer cancel()
				if a := fetches(ctx, rt, url); a.took < least || a.took > most || !errors.Is(a.err, want) {
					t.Errorf("%v %v, want %v to %v and %v", a.took, a.err, least, most, want)
				}
			})
			synctest.Wait()
		}
		ask(chains[0], 3*time.Second, 3*time.Second, 3*time.Second, context.DeadlineExceeded)
		ask(chains[1], 2*time.Second, 2*time.Second, 2*time.Second, context.DeadlineExceeded)
		ask(chains[2], time.Minute, 8*time.Second, 9*time.Second, nil)
		ask(chains[2], time.Second, time.Second, time.Second, context.DeadlineExceeded)
		wg.Wait()
		if o.asked.Load() != 2 {
			t.Errorf("the origin was asked %d times", o.asked.Load())
		}
		noLeases(t, m)
	})
}

// A cache that is closed gives back what it holds, and waits for no process.
func TestLeaseIsReleasedByClose(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(5 * time.Second)
			return sends(sealed(url, n, 10), "Cache-Control: max-age=60"), nil
		}}
		caches, chains := newFleet(t, 3, o, open, cache.Options{})
		var wg sync.WaitGroup
		ask := func(rt http.RoundTripper, least, most time.Duration) {
			wg.Go(func() {
				if a := fetches(t.Context(), rt, url); a.took < least || a.took > most || a.err != nil {
					t.Errorf("%v %v, want %v to %v", a.took, a.err, least, most)
				}
			})
			synctest.Wait()
		}
		ask(chains[0], 5*time.Second, 5*time.Second)
		ask(chains[1], 6*time.Second, 6*time.Second) // closed after one second
		ask(chains[2], 7*time.Second, 8*time.Second) // the first is closed after two
		time.Sleep(time.Second)
		require.NoError(t, caches[1].Close())
		time.Sleep(time.Second)
		require.NoError(t, caches[0].Close())
		wg.Wait()
		noLeases(t, m)
	})
}

// slowEntries takes two seconds to store a response.
type slowEntries struct{ store.Store }

func (s slowEntries) Unwrap() store.Store { return s.Store }

func (s slowEntries) Put(ctx context.Context, key string, r store.Record) error {
	if r.Kind == store.KindEntry {
		time.Sleep(2 * time.Second)
	}
	return s.Store.Put(ctx, key, r)
}

// A cache that is closed while it stores an answer gives its lease back once the answer is there: those who wait find it, and the origin is asked once.
func TestLeaseOfAnAnswerThatIsBeingStoredOutlastsClose(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Second)
			return sends(sealed(url, n, 10), "Cache-Control: max-age=60"), nil
		}}
		slow := func() store.Store { return slowEntries{open()} }
		caches, chains := newFleet(t, 2, o, slow, cache.Options{StoreTimeout: 5 * time.Second})
		var waits sync.WaitGroup
		holder := make(chan error, 1)
		go func() { holder <- fetches(t.Context(), chains[0], url).err }()
		synctest.Wait()
		waits.Go(func() {
			if a := fetches(t.Context(), chains[1], url); a.err != nil || a.took < 3*time.Second || a.took > 5*time.Second {
				t.Errorf("the other process has %v after %v, want what is stored after 3s", a.err, a.took)
			}
		})
		require.NoError(t, <-holder)
		require.NoError(t, caches[0].Close())
		waits.Wait()
		if n := o.asked.Load(); n != 1 {
			t.Errorf("the origin was asked %d times, want once", n)
		}
		noLeases(t, m)
	})
}

// What is refreshed behind the callers' backs is refreshed by one process.
func TestLeaseOneRefreshAcrossProcesses(t *testing.T) {
	inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(2 * time.Second)
			return sends(sealed(url, n, 10), "Cache-Control: max-age=10, stale-while-revalidate=60"), nil
		}}
		_, chains := newFleet(t, 3, o, open, cache.Options{})
		together(t, 1, chains, url)
		time.Sleep(20 * time.Second)
		for range 15 {
			if outcomes, slowest := together(t, 3, chains, url); slowest != 0 {
				t.Errorf("%v, the slowest took %v", outcomes, slowest)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if outcomes, _ := together(t, 1, chains, url); outcomes["hit"] != 3 || o.asked.Load() != 2 {
			t.Errorf("%v, and the origin was asked %d times", outcomes, o.asked.Load())
		}
		noLeases(t, m)
	})
}

// A body that takes longer than the lease, or is too large to be stored, is waited for no longer than that.
func TestLeaseBoundsTheWaitForALongBody(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		most time.Duration
	}{"slow": {1000, 30*time.Second + contention}, "too large": {11_000, 31*time.Second + contention}} {
		t.Run(name, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, m *storetest.Map, open func() store.Store) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends(sealed(url, 1, c.size), "Cache-Control: max-age=60")
					resp.Body = &unhurried{r.Context(), sealed(url, 1, c.size), c.size/10 + 12, 2 * time.Second}
					resp.ContentLength = -1
					return resp, nil
				}}
				_, chains := newFleet(t, 3, o, open, cache.Options{MaxEntryBytes: 10_000})
				if outcomes, slowest := together(t, 10, chains, url); slowest > c.most || o.asked.Load() != 3 {
					t.Errorf("%v, the slowest took %v, the origin was asked %d times", outcomes, slowest, o.asked.Load())
				}
				time.Sleep(time.Minute)
				noLeases(t, m)
			})
		})
	}
}

// Whichever call of one process's store fails, in whichever way: all answers are right, and no caller waits longer than the others' lease and the store's time.
func TestLeaseStoreFaultAtEachCall(t *testing.T) {
	const timeout = 50 * time.Millisecond
	hang := make(chan struct{})
	for name, fault := range map[string]func(context.Context) error{
		"error":                  func(context.Context) error { return errors.New("broken") },
		"panic":                  func(context.Context) error { panic("broken") },
		"conflict":               func(context.Context) error { return store.ErrConflict },
		"hangs until it is told": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs whatever is said": func(context.Context) error { <-hang; return errors.New("woken") },
		"done, and then fails":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			for _, forGood := range []bool{false, true} {
				step := int64(3)
				if name == "error" && !forGood {
					step = 1 // each call once; what the other kinds of failure do differently does not depend on the call
				}
				for k, calls := int64(1), int64(1); k <= calls; k += step {
					inFreshBubble(t, func(t *testing.T) {
						hang = make(chan struct{})
						m := storetest.NewMap(1 << 26)
						s := &faulty{Map: m.Open()}
						s.fault = func(ctx context.Context, n int64) error {
							if fault != nil && (n == k || forGood && n > k) {
								return fault(ctx)
							}
							return nil
						}
						var used store.Store = s
						if fault == nil {
							used = &lateFault{faulty: s, at: k}
						}
						stores := []store.Store{used, m.Open(), plain{m.Open()}}
						o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
							time.Sleep(time.Second)
							return sends(sealed(url, 1, 1000), "Cache-Control: max-age=60"), nil
						}}
						_, chains := newFleet(t, 3, o, func() (next store.Store) { next, stores = stores[0], stores[1:]; return next }, cache.Options{StoreTimeout: timeout, Lease: 5 * time.Second})
						for range 3 {
							if outcomes, slowest := together(t, 5, chains, url); slowest > 6*time.Second+4*timeout+contention {
								t.Errorf("call %d: %v, the slowest took %v", k, outcomes, slowest)
							}
							time.Sleep(2 * time.Minute)
						}
						if calls = max(calls, min(s.calls.Load(), 60)); o.asked.Load() > 30 {
							t.Errorf("call %d: the origin was asked %d times", k, o.asked.Load())
						}
						close(hang)
						time.Sleep(time.Minute)
					})
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}

// Leases that make no sense are refused.
func TestLeaseInvalidDurationsAreErrors(t *testing.T) {
	for want, o := range map[string]cache.Options{
		"needs a Store":   {Lease: time.Second},
		"a Memory is":     {Lease: time.Second, Store: near()},
		"millisecond":     {Lease: time.Microsecond, Store: storetest.NewMap(0)},
		"negative":        {Lease: -1, Store: storetest.NewMap(0)},
		"contradict":      {Lease: time.Second, Store: storetest.NewMap(0), NoCollapse: true},
		"itself tiered":   {Lease: time.Second, Store: cache.Tiered(nil, nil)},
		"cache: Lease: n": {Lease: time.Second},
	} {
		if _, err := cache.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something with %q", err, want)
		}
	}
}

// late is a store on whose lease records a lot happens between what went before and them.
type late struct {
	plain
	before func()
}

func (l *late) Put(ctx context.Context, key string, r store.Record) error {
	if strings.HasPrefix(key, "l1.") && l.before != nil {
		l.before()
	}
	return l.plain.Put(ctx, key, r)
}

// What another process stores between our look into the store and our lease is found.
func TestLeaseFindsResponseStoredMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			return sends(sealed(url, 1, 10), "Cache-Control: max-age=60"), nil
		}}
		_, quick := newBusy(t, o, cache.Options{Store: m.Open(), Lease: leased})
		s := &late{plain: plain{m.Open()}}
		s.before = sync.OnceFunc(func() {
			fetches(t.Context(), quick, url)
			synctest.Wait()
		})
		_, rt := newBusy(t, o, cache.Options{Store: s, Lease: leased})
		if a := fetches(t.Context(), rt, url); a.Outcome != "hit" || o.asked.Load() != 1 {
			t.Errorf("%+v, the origin was asked %d times", a, o.asked.Load())
		}
		noLeases(t, m)
	})
}
