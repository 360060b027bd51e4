package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A store that fails at once with everything is left alone; one that fails with a single record costs the others nothing.
func TestStoreBreakerOpensOnPromptFailures(t *testing.T) {
	inFreshBubble(t, func(t *testing.T) {
		s := newTroubled()
		g := newRig(t, says("x", "Cache-Control: max-age=3600"), cache.Options{Store: s})
		g.get("http://h/good")
		g.get("http://h/bad")
		synctest.Wait()
		bad := keys(t, s.Map, store.KindEntry)
		s.trouble(func(_ context.Context, op, key string) error {
			if key == bad[0] {
				return errors.New("this record cannot be read")
			}
			return nil
		})
		hits := 0
		for range 40 {
			for _, u := range []string{"http://h/good", "http://h/bad"} {
				for range 5 {
					if have, _ := g.get(u); have.Outcome == "hit" {
						hits++
					}
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if hits != 200 || g.Stats().StoreDown {
			t.Errorf("%d hits of 200 for another record: %+v", hits, g.Stats())
		}
		var calls atomic.Int64
		s.trouble(func(context.Context, string, string) error { calls.Add(1); return errors.New("connection refused") })
		for range 250 {
			g.get("http://h/good")
			time.Sleep(40 * time.Millisecond)
		}
		if n := calls.Load(); n > 60 || !g.Stats().StoreDown {
			t.Errorf("%d calls of a store that is away: %+v", n, g.Stats())
		}
		s.trouble(nil)
		g.get("http://h/good")
		time.Sleep(time.Second)
		g.get("http://h/good")
		synctest.Wait()
		if have, _ := g.get("http://h/good"); have.Outcome != "hit" {
			t.Errorf("%s once it is back", have.Outcome)
		}
	})
}

// A store that is 30 ms away serves hits within the default StoreTimeout, and does not count as down, however many ask at once.
func TestStoreBreakerStaysClosedForSlowStore(t *testing.T) {
	for _, trip := range []time.Duration{30 * time.Millisecond, 45 * time.Millisecond} {
		inFreshBubble(t, func(t *testing.T) {
			s := newTroubled()
			s.trouble(func(ctx context.Context, _, _ string) error {
				select {
				case <-time.After(trip):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			far := oneTrip{s}
			c, rt := newBusy(t, &busy{answer: func(*http.Request, int) (*http.Response, error) {
				return sends("x", "Cache-Control: max-age=3600"), nil
			}}, cache.Options{Store: far})
			hits := 0
			for round := range 10 {
				for _, g := range storm(100, rt, func(i int) *http.Request { return must(http.NewRequest("GET", fmt.Sprint("http://h/", i%20), nil)) }) {
					if status, _ := cache.StatusOf(&http.Response{Header: g.header}); round > 3 && status.Hit {
						hits++
					}
				}
				if c.Stats().StoreDown {
					t.Fatalf("%v, round %d: the store counts as down: %+v", trip, round, c.Stats())
				}
				time.Sleep(time.Second)
			}
			if hits != 600 {
				t.Errorf("%v: %d hits of 600: %+v", trip, hits, c.Stats())
			}
		})
	}
}

// oneTrip is a store that reads several records in the time of one.
type oneTrip struct{ *troubled }

func (s oneTrip) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if err := s.check(ctx, "get", keys[0]); err != nil {
		return nil, err
	}
	return s.Map.GetMulti(ctx, keys)
}

// A store that is down costs nothing after a while, and is found again.
func TestStoreBreakerOpensAndRecovers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
		g.get(url)
		s.set(func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() })
		var waited time.Duration
		for i := range 1000 {
			begun := time.Now()
			if have, _ := g.get(url); have.Body != "x" {
				t.Fatal(have)
			}
			if i > 10 {
				waited = max(waited, time.Since(begun))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if waited > time.Millisecond {
			t.Errorf("a request waited %v for a store that is known to be down", waited)
		}
		if s := g.Stats(); !s.StoreDown || s.StoreSkipped < 900 || s.StoreErrors > 10 {
			t.Errorf("%+v", s)
		}
		s.set(nil)
		revived := time.Now()
		for {
			if have, _ := g.get(url); have.Outcome == "hit" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(revived); took > 2*time.Second {
			t.Errorf("found again after %v", took)
		}
	})
}
