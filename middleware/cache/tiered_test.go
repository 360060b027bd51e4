package cache_test

import (
	"context"
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

// tallied counts the calls of a store, and hides that it tells of changes.
type tallied struct {
	m     *storetest.Map
	calls atomic.Int64
}

func (c *tallied) Get(ctx context.Context, key string) (store.Record, error) {
	c.calls.Add(1)
	return c.m.Get(ctx, key)
}

func (c *tallied) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	c.calls.Add(1)
	return c.m.GetMulti(ctx, keys)
}

func (c *tallied) Put(ctx context.Context, key string, r store.Record) error {
	c.calls.Add(1)
	return c.m.Put(ctx, key, r)
}

func (c *tallied) Delete(ctx context.Context, key, version string) error {
	c.calls.Add(1)
	return c.m.Delete(ctx, key, version)
}

func near() *cache.Memory { return cache.NewMemory(cache.MemoryOptions{}) }

// A copy near is served without a call of the far store, and compared with it once in each interval.
func TestTieredServesFromL1WithinItsTTL(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &tallied{m: storetest.NewMap(1 << 24)}
		o := says(strings.Repeat("x", 100_000), "Cache-Control: max-age=600")
		other := newRig(t, o, cache.Options{Store: far})
		other.get(url)
		g := newRig(t, o, cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		calls := func(f func()) int64 {
			before := far.calls.Load()
			f()
			return far.calls.Load() - before
		}
		hit := func() {
			t.Helper()
			have, _ := g.get(url)
			g.want(have, 200, strings.Repeat("x", 100_000), "hit", 1)
		}
		if n := calls(func() { hit(); hit() }); n != 0 {
			t.Errorf("%d calls for copies", n)
		}
		time.Sleep(2 * time.Second)
		if n := calls(hit); n < 1 || n > 2 { // one for the record, and perhaps one for the secret
			t.Errorf("%d calls to compare a copy", n)
		}
		if n := calls(func() { hit(); hit() }); n != 0 {
			t.Errorf("%d calls for copies that have just been compared", n)
		}
	})
}

// What another process changes or invalidates is not served from near any more: at once if the far store tells, and else after the interval.
func TestTieredL1FollowsOtherProcesses(t *testing.T) {
	for _, tells := range []bool{true, false} {
		for name, change := range map[string]func(*rig){
			"invalidated":          func(g *rig) { g.do("POST", url) },
			"group invalidated":    func(g *rig) { g.DeleteGroup(g.Context(), url, "g") },
			"stored anew":          func(g *rig) { g.get(url, "Cache-Control: no-cache") },
			"deleted":              func(g *rig) { g.Delete(g.Context(), must(http.NewRequest("GET", url, nil))) },
			"everything forgotten": func(g *rig) { g.Clear(g.Context()) },
		} {
			t.Run(fmt.Sprintf("%s, tells %t", name, tells), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := storetest.NewMap(1 << 24)
					open := func() store.Store {
						if tells {
							return m.Open()
						}
						return &silent{m}
					}
					state := "old"
					o := &origin{answer: func(r *http.Request) *http.Response {
						return reply(200, state, "Cache-Control: max-age=600", `Cache-Groups: "g"`)
					}}
					a := newRig(t, o, cache.Options{Store: cache.Tiered(near(), open())})
					b := newRig(t, o, cache.Options{Store: cache.Tiered(near(), open())})
					for range 2 {
						a.get(url)
						b.get(url)
					}
					state = "new"
					change(b)
					synctest.Wait()
					if !tells {
						time.Sleep(1100 * time.Millisecond)
					}
					for _, g := range []*rig{a, b} {
						if have, _ := g.get(url); have.Body != "new" {
							t.Errorf("%v", have)
						}
					}
				})
			})
		}
	}
}

// silent is a store with all that a Map can, but telling of changes.
type silent struct{ m *storetest.Map }

func (s *silent) Get(ctx context.Context, key string) (store.Record, error) { return s.m.Get(ctx, key) }

func (s *silent) Put(ctx context.Context, key string, r store.Record) error {
	return s.m.Put(ctx, key, r)
}

func (s *silent) Delete(ctx context.Context, key, version string) error {
	return s.m.Delete(ctx, key, version)
}

func (s *silent) Clear(ctx context.Context) error { return s.m.Clear(ctx) }

// A change that is made while its record is being read leaves no copy of before.
func TestTieredL1DropsCopyOfARecordChangedDuringRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		state := "old"
		o := &origin{answer: func(r *http.Request) *http.Response { return reply(200, state, "Cache-Control: max-age=600") }}
		b := newRig(t, o, cache.Options{Store: m.Open()})
		b.get(url)
		far := &paused{Map: m.Open()}
		a := newRig(t, o, cache.Options{Store: cache.Tiered(near(), far)})
		state = "new"
		far.after = func() {
			far.after = nil
			b.do("POST", url)
		}
		a.get(url) // may be old: it was asked for before
		synctest.Wait()
		if have, _ := a.get(url); have.Body != "new" {
			t.Errorf("%v", have)
		}
	})
}

// paused lets something happen after a read and before it returns.
type paused struct {
	*storetest.Map
	after func()
}

func (p *paused) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records, err := p.Map.GetMulti(ctx, keys)
	if p.after != nil {
		p.after()
	}
	return records, err
}

// While the far store is down copies are served.
func TestTieredL1ServesWhileL2IsDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &faulty{Map: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		far.set(func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() })
		for range 20 {
			time.Sleep(10 * time.Second)
			have, _ := g.get(url)
			g.want(have, 200, "x", "hit", 1)
		}
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 3)
	})
}

func TestTieredNeedsTwoStores(t *testing.T) {
	far := storetest.NewMap(1 << 20)
	for name, s := range map[string]store.Store{
		"no near":       cache.Tiered(nil, far),
		"no far":        cache.Tiered(near(), nil),
		"three of them": cache.Tiered(near(), cache.Tiered(near(), far)),
	} {
		if _, err := cache.New(cache.Options{Store: s}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := cache.New(cache.Options{Store: cache.Tiered(near(), near())})
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// A Memory is a byte store as well, for what stands between it and a cache.
func TestMemoryBehindWrapperIsAByteStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says(strings.Repeat("x", 300_000), "Cache-Control: max-age=600"), cache.Options{Store: plain{near()}})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, strings.Repeat("x", 300_000), "hit", 1)
	})
}

func TestMemoryPassesStoretest(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return near() })
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return cache.NewMemory(cache.MemoryOptions{MaxBytes: maxBytes})
	})
}

// returning is a store whose next Put of an entry does not return until it is told.
type returning struct {
	*storetest.Map
	held chan struct{}
	put  chan struct{}
}

func (s *returning) Put(ctx context.Context, key string, r store.Record) error {
	err := s.Map.Put(ctx, key, r)
	if held := s.held; held != nil && r.Kind == store.KindEntry {
		s.held = nil
		close(s.put)
		<-held
	}
	return err
}

// Of two changes in this process, the copy near is never the earlier one, whichever of them hears first that it is done.
func TestTieredL1KeepsTheLaterOfTwoChanges(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &returning{storetest.NewMap(1 << 24), make(chan struct{}), make(chan struct{})}
		release, put := far.held, far.put
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		<-put // stored, and the cache does not know yet
		r := must(http.NewRequest("GET", url, nil))
		require.NoError(t, g.Delete(t.Context(), r))
		close(release)
		synctest.Wait()
		if g.Contains(r) {
			t.Error("what was deleted is there again")
		}
	})
}

// clearing is a store during whose Clear something happens.
type clearing struct {
	*storetest.Map
	meanwhile func()
}

func (s *clearing) Clear(ctx context.Context) error {
	s.meanwhile()
	return s.Map.Clear(ctx)
}

// What is read while everything is being removed leaves no copy near.
func TestTieredClearLeavesNoL1Copy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		far := &clearing{Map: storetest.NewMap(1 << 24)}
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: cache.Tiered(near(), far)})
		g.get(url)
		synctest.Wait()
		far.meanwhile = func() { g.get(url) }
		require.NoError(t, g.Clear(t.Context()))
		if g.Contains(must(http.NewRequest("GET", url, nil))) {
			t.Error("a copy is left")
		}
	})
}

// A clock that was set back makes copies near stale, too.
func TestTieredClockSetBackMakesL1CopiesStale(t *testing.T) {
	far, copies := storetest.NewMap(1<<24), near()
	o := says("x", "Cache-Control: max-age=600", `Etag: "a"`)
	inFreshBubble(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		newRig(t, o, cache.Options{Store: plain{far}}).get(url)
		g := newRig(t, o, cache.Options{Store: cache.Tiered(copies, plain{far})})
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
	inFreshBubble(t, func(t *testing.T) { // a day earlier
		g := newRig(t, o, cache.Options{Store: cache.Tiered(copies, plain{far})})
		if have, _ := g.get(url); have.Outcome == "hit" {
			t.Error("a response of tomorrow is fresh")
		}
	})
}
