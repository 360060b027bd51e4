package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// brokenStore fails always.
type brokenStore struct{}

func (brokenStore) Get(context.Context, string) (store.Record, error) {
	return store.Record{}, errors.New("down")
}

func (brokenStore) Put(context.Context, string, store.Record) error { return errors.New("down") }

func (brokenStore) Delete(context.Context, string, string) error { return errors.New("down") }

func TestFailingStoreIsAMiss(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var faults []string
		trace := &cache.Trace{Fault: func(operation string, err error) { faults = append(faults, operation+": "+err.Error()) }}
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: brokenStore{}, Trace: trace})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)
		synctest.Wait() // a probe finds the store down: then it is left alone
		g.do("POST", url)
		if owed := g.Stats().Owed; owed != 1 {
			t.Errorf("%d invalidations are owed, want the POST's", owed)
		}
		want := []string{"get: down", "update: down", "get: down", "update: down"}
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("faults (-want +got)\n%s", diff)
		}
		if err := g.Clear(t.Context()); err == nil {
			t.Error("Clear of a store that cannot must be an error")
		}
	})
}

// What must go from the store, because the origin says that it is not to be stored any more, does not hold its request up.
func TestStoreRemovalDelaysRequestByOneCallTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var delay atomic.Int64
		s := &faulty{Map: storetest.NewMap(1 << 24)}
		s.fault = func(ctx context.Context, _ int64) error {
			select {
			case <-time.After(time.Duration(delay.Load())):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		answer := reply(200, "x", "Cache-Control: max-age=60")
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response { return answer }}, cache.Options{Store: s})
		g.get(url)
		time.Sleep(2 * time.Minute)
		g.origin.answer = func(*http.Request) *http.Response {
			delay.Store(int64(90 * time.Millisecond))
			return reply(200, "y", "Cache-Control: no-store")
		}
		begun := time.Now()
		g.get(url)
		if waited := time.Since(begun); waited > 120*time.Millisecond {
			t.Errorf("the request waited %v", waited)
		}
		delay.Store(0)
		synctest.Wait()
		time.Sleep(time.Second)
		if g.Contains(must(http.NewRequest("GET", url, nil))) {
			t.Error("what is not to be stored is there")
		}
	})
}

// unheard is a store whose Put of an entry does what it is to do, and the reply is lost.
type unheard struct {
	*storetest.Map
	lost bool
}

func (s *unheard) Put(ctx context.Context, key string, r store.Record) error {
	err := s.Map.Put(ctx, key, r)
	if err == nil && s.lost && r.Kind == store.KindEntry {
		return errors.New("connection reset")
	}
	return err
}

func (s *unheard) Delete(ctx context.Context, key, version string) error {
	err := s.Map.Delete(ctx, key, version)
	if err == nil && s.lost && strings.HasPrefix(key, "e1.") {
		return errors.New("connection reset")
	}
	return err
}

// A change of which the store's reply is lost has been made: no body stays that nothing names, and what is stored is whole.
func TestStoreChangeWithLostReplyIsComplete(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &unheard{Map: storetest.NewMap(1 << 26)}
		n := 0
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response {
			n++
			return reply(200, numbers(100_000+n), "Cache-Control: max-age=60")
		}}, cache.Options{Store: s})
		for range 3 {
			g.get(url)
			synctest.Wait()
			time.Sleep(2 * time.Minute)
			s.lost = true
		}
		g.get(url)
		synctest.Wait()
		have, _ := g.get(url)
		g.want(have, 200, numbers(100_004), "hit", 4)
		if pieces := keys(t, s.Map, store.KindBody); len(pieces) != 1 {
			t.Errorf("%d pieces of one body: %v", len(pieces), pieces)
		}
		require.NoError(t, g.Delete(t.Context(), must(http.NewRequest("GET", url, nil))))
		synctest.Wait()
		if left := append(keys(t, s.Map, store.KindBody), keys(t, s.Map, store.KindEntry)...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// A request that a caller gives up on is no fault of the store.
func TestStoreCallCanceledByCallerIsNoFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: obedient{storetest.NewMap(1 << 20)}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		if resp, err := g.rt.RoundTrip(r); err == nil {
			readAll(resp)
		}
		if n := g.Stats().StoreErrors; n != 0 {
			t.Errorf("%d faults", n)
		}
	})
}

// obedient is a store that heeds its context.
type obedient struct{ store.Store }

func (o obedient) Get(ctx context.Context, key string) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	return o.Store.Get(ctx, key)
}

// badStore is a store that misbehaves in one way.
type badStore struct {
	store.Store
	misbehave func(context.Context) error
	lie       func(key string) string
	mended    atomic.Bool // misbehave is over: the cache may call at any moment, to pay what it owes
}

func (b *badStore) call(ctx context.Context, call func() error) error {
	if b.misbehave != nil && !b.mended.Load() {
		return b.misbehave(ctx)
	}
	return call()
}

func (b *badStore) Get(ctx context.Context, key string) (r store.Record, err error) {
	if b.lie != nil {
		key = b.lie(key)
	}
	err = b.call(ctx, func() error { r, err = b.Store.Get(ctx, key); return err })
	return r, err
}

func (b *badStore) Put(ctx context.Context, key string, r store.Record) error {
	if b.lie != nil {
		key = b.lie(key)
	}
	return b.call(ctx, func() error { return b.Store.Put(ctx, key, r) })
}

func (b *badStore) Delete(ctx context.Context, key, version string) error {
	if b.lie != nil {
		key = b.lie(key)
	}
	return b.call(ctx, func() error { return b.Store.Delete(ctx, key, version) })
}

// Whatever a store does, each request gets the origin's answer, in time, and the cache recovers with the store.
func TestStoreFaultsNeverFailARequest(t *testing.T) {
	hang := make(chan struct{})
	for name, misbehave := range map[string]func(context.Context) error{
		"errors":                     func(context.Context) error { return errors.New("down") },
		"panics":                     func(context.Context) error { panic("broken store") },
		"hangs until it is told":     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs whatever it is told":  func(context.Context) error { <-hang; return nil },
		"answers nothing and no set": func(context.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				hang = make(chan struct{})
				store := &badStore{Store: storetest.NewMap(1 << 20), misbehave: misbehave}
				g := newRig(t, says("x", "Cache-Control: max-age=600", `Cache-Group-Invalidation: "a", "b", "c"`), cache.Options{Store: store, StoreTimeout: 50 * time.Millisecond})
				for i, method := range []string{"GET", "GET", "POST", "HEAD"} {
					before := time.Now()
					have, _ := g.do(method, url)
					if have.Status != 200 || have.Body != "x" && method != "HEAD" || len(g.origin.asked) != i+1 {
						t.Errorf("%s: %v, asked %d times", method, have, len(g.origin.asked))
					}
					if waited := time.Since(before); waited > 100*time.Millisecond {
						t.Errorf("%s waited %v", method, waited)
					}
				}
				if faults := g.Stats().StoreErrors; (faults == 0) != strings.Contains(name, "no set") {
					t.Errorf("%d faults", faults)
				}
				close(hang)
				synctest.Wait()
				store.mended.Store(true)
				time.Sleep(time.Second)
				g.get(url) // has the store probed, and told of the POST that it has missed
				synctest.Wait()
				g.get(url)
				have, _ := g.get(url)
				g.want(have, 200, "x", "hit", len(g.origin.asked))
			})
		})
	}
}

func TestStoreCallsOfHangingStoreAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var calls atomic.Int64
		store := &badStore{Store: storetest.NewMap(1 << 20), misbehave: func(context.Context) error { calls.Add(1); <-hang; return nil }}
		g := newRig(t, says("x"), cache.Options{Store: store})
		for range 3000 {
			g.get(url)
		}
		if n := calls.Load(); n > 1024 {
			t.Errorf("%d calls hang", n)
		}
	})
}

// A store that mixes its keys up has nothing.
func TestStoreReturningOtherKeysIsAMiss(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &badStore{Store: storetest.NewMap(1 << 20), lie: func(string) string { return "one for all" }}
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, r.URL.Path+r.Header.Get("Authorization"), "Cache-Control: max-age=600")
		}}
		g := newRig(t, o, cache.Options{Store: store})
		for _, path := range []string{"/a", "/b", "/a"} {
			for _, user := range []string{"A", "B"} {
				if have, _ := g.get("http://h"+path, "Authorization: "+user); have.Body != path+user {
					t.Errorf("%s for %s: %v", path, user, have)
				}
			}
		}
		have, _ := g.get("http://h/a", "Authorization: B")
		g.want(have, 200, "/aB", "miss", 7)
	})
}

func newTroubled() *troubled { return &troubled{Map: storetest.NewMap(1 << 26)} }

func hangs(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() }

func refuses(context.Context, string, string) error { return errors.New("refused") }

// A caller whose deadline passes while the store takes what it has read waits for it no longer.
func TestReaderAtItsDeadlineWaitsForNoStore(t *testing.T) {
	inFreshBubble(t, func(t *testing.T) {
		s := newTroubled()
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: s})
		s.trouble(changesHang)
		ctx, cancel := context.WithTimeout(cache.WithoutCollapsing(t.Context()), time.Millisecond)
		defer cancel()
		began := time.Now()
		resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(ctx, "GET", url, nil)))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, "all of it has come")
		require.NoError(t, resp.Body.Close())
		if took := time.Since(began); string(body) != "x" || took != time.Millisecond {
			t.Errorf("%q after %v", body, took)
		}
	})
}

// What a program asks for is the store's fault, too, if the store fails at it, and no fault if the store never could.
func TestStoreRemovalThatFailsIsAFault(t *testing.T) {
	for name, remove := range map[string]func(g *rig) error{
		"Delete":        func(g *rig) error { return g.Delete(g.Context(), must(http.NewRequest("GET", url, nil))) },
		"DeleteStale":   func(g *rig) error { _, err := g.DeleteOlderThan(g.Context(), 0); return err },
		"DeletePattern": func(g *rig) error { _, err := g.DeletePattern(g.Context(), "example.com/*"); return err },
	} {
		inFreshBubble(t, func(t *testing.T) {
			s := newTroubled()
			g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: s})
			g.get(url)
			time.Sleep(time.Second)
			s.trouble(refuses)
			if err := remove(g); err == nil || g.Stats().StoreErrors != 1 {
				t.Errorf("%s: %v, %+v", name, err, g.Stats())
			}
		})
	}
	inFreshBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Store: plain{storetest.NewMap(1 << 20)}})
		if _, err := g.DeleteStale(g.Context()); !errors.Is(err, errors.ErrUnsupported) || g.Stats().StoreErrors != 0 {
			t.Errorf("%v, %+v", err, g.Stats())
		}
	})
}
