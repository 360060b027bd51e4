package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A store that hangs while an unsafe request invalidates has failed: it is counted and told.
func TestPendingInvalidationOfHangingStoreCountsAsFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		s.fault = func(ctx context.Context, n int64) error {
			if n%3 != 0 { // two generations are read, quickly enough, and then one is to be put
				time.Sleep(time.Millisecond)
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		told := 0
		g := newRig(t, says("x"), cache.Options{Store: s, Trace: &cache.Trace{Fault: func(string, error) { told++ }}})
		begun := time.Now()
		g.do("POST", url)
		if waited := time.Since(begun); waited > 100*time.Millisecond {
			t.Errorf("the request waited %v", waited)
		}
		if s := g.Stats(); s.StoreErrors != 1 || told != 1 {
			t.Errorf("%+v, and %d faults told", s, told)
		}
	})
}

// slow is a store that takes its time for the changes of some keys.
type slow struct {
	*storetest.Map
	takes func(key string) time.Duration
}

func (s *slow) Put(ctx context.Context, key string, r store.Record) error {
	select {
	case <-time.After(s.takes(key)):
		return s.Map.Put(ctx, key, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A store that does not get done with many groups in time goes on where it was, and does not count as down.
func TestPendingInvalidationManyGroupsInSlowStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &slow{storetest.NewMap(1 << 24), func(string) time.Duration { return 0 }}
		o := says("x", "Cache-Control: max-age=3600", `Cache-Groups: "g119"`)
		g, other := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
		other.get("http://h/in-the-group")
		s.takes = func(key string) time.Duration {
			if strings.HasPrefix(key, "m1.") {
				return 30 * time.Millisecond
			}
			return 0
		}
		var groups []string
		for i := range 120 {
			groups = append(groups, fmt.Sprintf(`"g%d"`, i))
		}
		g.origin.answer = func(*http.Request) *http.Response {
			return reply(200, "", "Cache-Group-Invalidation: "+strings.Join(groups, ", "))
		}
		g.do("POST", "http://h/")
		for range 10 {
			time.Sleep(2 * time.Second)
			g.do("GET", "http://h/another")
		}
		if s := g.Stats(); s.StoreDown || s.StoreSkipped > 0 {
			t.Errorf("%+v", s)
		}
		if have, _ := other.get("http://h/in-the-group"); have.Outcome == "hit" {
			t.Error("the last group has not been invalidated")
		}
	})
}

// An invalidation that the store did not take is tried once more before the cache goes.
func TestPendingInvalidationIsRetriedAtClose(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		o := says("x", "Cache-Control: max-age=600")
		g := newRig(t, o, cache.Options{Store: s})
		g.get(url)
		s.fault = func(context.Context, int64) error { return errors.New("a moment's trouble") }
		g.do("POST", url)
		s.fault = nil
		require.NoError(t, g.Close())
		if have, _ := newRig(t, o, cache.Options{Store: s.Map}).get(url); have.Outcome == "hit" {
			t.Error("another process serves what was invalidated")
		}
	})
}

// An invalidation that the store did not take is told again by a process that does nothing else, soon after the store is there again.
func TestPendingInvalidationIsRetriedByIdleProcess(t *testing.T) {
	once := func(fault func(context.Context, string, string) error) func(context.Context, string, string) error {
		var done atomic.Bool
		return func(ctx context.Context, op, key string) error {
			if op == "put" && !done.Swap(true) {
				return fault(ctx, op, key)
			}
			return nil
		}
	}
	takes := func(d time.Duration) func(context.Context, string, string) error {
		return func(ctx context.Context, op, key string) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	for name, test := range map[string]struct {
		fault  func(context.Context, string, string) error
		lasts  time.Duration // the trouble
		behind time.Duration // others are, at most, after its end
	}{
		"one change hangs":          {once(hangs), 0, 200 * time.Millisecond},
		"one change is slow":        {once(takes(150 * time.Millisecond)), 0, 200 * time.Millisecond},
		"one call fails":            {once(refuses), 0, 200 * time.Millisecond},
		"locked for 150 ms":         {hangs, 150 * time.Millisecond, 1100 * time.Millisecond},
		"slower than StoreTimeout":  {takes(300 * time.Millisecond), time.Minute, -50 * time.Second},
		"refuses for ten seconds":   {refuses, 10 * time.Second, 3 * time.Second},
		"hangs for ten seconds":     {hangs, 10 * time.Second, 3500 * time.Millisecond},
		"takes no changes at first": {refusesChanges, 10 * time.Second, 3 * time.Second},
	} {
		for how, invalidate := range map[string]func(g *rig){
			"POST":        func(g *rig) { g.do("POST", url) },
			"PUT":         func(g *rig) { g.do("PUT", url) },
			"DeleteURL":   func(g *rig) { g.do("POST", "http://h/other"); g.DeleteURL(g.Context(), url) },
			"DeleteGroup": func(g *rig) { g.do("POST", "http://h/other"); g.DeleteGroup(g.Context(), url, "g") },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inFreshBubble(t, func(t *testing.T) {
					s := newTroubled()
					o := stateful(`Cache-Groups: "g"`)
					writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
					reader.get(url)
					s.trouble(test.fault)
					invalidate(writer)
					if n := writer.Stats().Owed; n == 0 && test.lasts > 0 {
						t.Error("nothing is owed")
					}
					if test.lasts > 0 {
						time.AfterFunc(test.lasts, func() { s.trouble(nil) })
					}
					time.Sleep(test.lasts + test.behind)
					if have, _ := reader.get(url); have.Body != "1" {
						t.Errorf("the other process has %q", have.Body)
					}
					if n := writer.Stats().Owed; n != 0 {
						t.Errorf("%d are owed", n)
					}
				})
			})
		}
	}
}

// What is owed costs a store that is away a call now and then, and no memory without end; once it is there it forgets what cannot be named.
func TestPendingInvalidationsAreBounded(t *testing.T) {
	inFreshBubble(t, func(t *testing.T) {
		s := newTroubled()
		o := stateful()
		writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
		reader.get("http://h/0")
		reader.get("http://h/3000")
		var calls atomic.Int64
		s.trouble(func(context.Context, string, string) error { calls.Add(1); return errors.New("refused") })
		for range 10 {
			writer.do("POST", "http://h/0")
		}
		if n := writer.Stats().Owed; n != 1 {
			t.Errorf("one invalidation that comes ten times is owed %d times", n)
		}
		for i := range 3001 {
			writer.do("POST", fmt.Sprint("http://h/", i))
		}
		if n := writer.Stats().Owed; n == 0 || n > 1025 {
			t.Errorf("%d are owed", n)
		}
		calls.Store(0)
		time.Sleep(time.Minute)
		if n := calls.Load(); n > 60*3*10 {
			t.Errorf("%d calls in a minute", n)
		}
		s.trouble(nil)
		time.Sleep(3 * time.Second)
		for _, u := range []string{"http://h/0", "http://h/3000"} {
			if have, _ := reader.get(u); have.Outcome == "hit" {
				t.Errorf("%s: %v", u, have)
			}
		}
		if n := writer.Stats().Owed; n != 0 {
			t.Errorf("%d are owed", n)
		}
	})
}

// A cache that is closed tries once more, not for long, and says what stays owed.
func TestPendingInvalidationsAreReportedByClose(t *testing.T) {
	for name, test := range map[string]struct {
		at    func(context.Context, string, string) error
		fails bool
	}{"there again": {nil, false}, "refuses": {refuses, true}, "hangs": {hangs, true}} {
		t.Run(name, func(t *testing.T) {
			inFreshBubble(t, func(t *testing.T) {
				s := newTroubled()
				o := stateful()
				writer, reader := newRig(t, o, cache.Options{Store: s}), newRig(t, o, cache.Options{Store: s.Map.Open()})
				reader.get(url)
				s.trouble(hangs)
				writer.do("POST", url)
				s.trouble(test.at)
				begun := time.Now()
				err := writer.Close()
				if (err != nil) != test.fails || test.fails && !strings.Contains(err.Error(), "1 invalidation") {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(begun); took > 250*time.Millisecond {
					t.Errorf("Close took %v", took)
				}
				if have, _ := reader.get(url); (have.Body == "0") != test.fails {
					t.Errorf("the other process has %v", have)
				}
				require.NoError(t, writer.Close())
			})
		})
	}
}

// Whichever call asks for an invalidation, a store that does not take it has failed, and says so in the same words.
func TestPendingInvalidationErrorsAreAlike(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, string) error{"hangs": hangs, "refuses": refuses} {
		var told []string
		for how, invalidate := range map[string]func(g *rig) error{
			"POST":        func(g *rig) error { g.do("POST", url); return nil },
			"DeleteURL":   func(g *rig) error { return g.DeleteURL(g.Context(), url) },
			"DeleteGroup": func(g *rig) error { return g.DeleteGroup(g.Context(), url, "g") },
		} {
			inFreshBubble(t, func(t *testing.T) {
				s := newTroubled()
				g := newRig(t, stateful(), cache.Options{Store: s, Trace: &cache.Trace{Fault: func(operation string, err error) {
					told = append(told, operation+": "+err.Error())
				}}})
				s.trouble(fault)
				err := invalidate(g)
				if n := g.Stats().StoreErrors; n != 1 {
					t.Errorf("%s, %s: %d store errors", name, how, n)
				}
				if how != "POST" && (err == nil || err.Error() != "cache: "+told[len(told)-1]) {
					t.Errorf("%s, %s: %v, told %q", name, how, err, told)
				}
			})
		}
		if len(told) != 3 || told[0] != told[1] || told[1] != told[2] {
			t.Errorf("%s: %q", name, told)
		}
	}
}

// An invalidation that the store did not take is repeated until it has, and until then nothing that it is about is served.
func TestPendingInvalidationHidesResponsesUntilStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		state := "old"
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				state = "new"
			}
			return reply(200, state, "Cache-Control: max-age=600")
		}}
		g := newRig(t, o, cache.Options{Store: s})
		g.get(url)
		s.set(func(context.Context, int64) error { return errors.New("down") })
		g.do("POST", url)
		s.set(nil)
		have, _ := g.get(url)
		if have.Body != "new" {
			t.Errorf("%v after a POST that the store has not heard of", have)
		}
		time.Sleep(time.Minute)
		g.get(url)
		synctest.Wait()
		other := newRig(t, o, cache.Options{Store: s.Map})
		if have, _ := other.get(url); have.Body != "new" {
			t.Errorf("%v in another process", have)
		}
	})
}

// What a POST makes invalid is told to a store that hangs for as long as one call may take, for all of it together, and that is a fault of the store.
func TestPendingInvalidationTakesOneCallTimeoutAltogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 20)}
		s.set(func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() })
		g := newRig(t, says("x", `Cache-Group-Invalidation: "a", "b", "c"`, "Location: /b"), cache.Options{Store: s})
		begun := time.Now()
		g.do("POST", url)
		if took := time.Since(begun); took > 101*time.Millisecond || g.Stats().StoreErrors != 1 {
			t.Errorf("%v, %+v", took, g.Stats())
		}
	})
}
