//go:build unix

package redis_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// notes are what Notify has said.
type notes struct {
	mu   sync.Mutex // guards said
	said map[string]int
}

func listen(t *testing.T, s *redis.Store) *notes {
	t.Helper()
	n := &notes{said: make(map[string]int)}
	stop := s.Notify(func(key string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.said[key]++
	})
	t.Cleanup(stop)
	n.waitFor(t, "") // the connection is there
	return n
}

func (n *notes) count(key string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said[key]
}

func (n *notes) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.said)
}

func (n *notes) waitFor(t *testing.T, key string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); n.count(key) == 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is said of %q", key)
		}
	}
}

// A store hears of what another one, a person or the server changes, and not of what it has changed itself.
func TestNotifyReportsTheChangesOfOthersOnly(t *testing.T) {
	srv := server.Start(t)
	s, other, c, ctx := open(t, srv.Addr, redis.Options{}), open(t, srv.Addr, redis.Options{}), raw(t, srv.Addr), t.Context()
	stranger := open(t, srv.Addr, redis.Options{Namespace: "stranger"})
	n := listen(t, s)
	n.forget()
	for i := range 100 {
		key := fmt.Sprintf("own-%d", i)
		put(t, s, key, "x")
		require.NoError(t, s.Put(ctx, key, store.Record{Data: []byte("y"), Version: get(t, s, key).Version}))
		put(t, stranger, key, "z")
	}
	put(t, other, "end", "x")
	n.waitFor(t, "end")
	for i := range 100 {
		// The deletion in put may be heard: that nothing is there does not say who has deleted it. A Put may not.
		if key := fmt.Sprintf("own-%d", i); n.count(key) > 1 {
			t.Errorf("%d times is said of %s, which only this store changed", n.count(key), key)
		}
	}
	for name, change := range map[string]func(key string) error{
		"another's Put": func(key string) error {
			return other.Put(ctx, key, store.Record{Data: []byte("x"), Version: get(t, other, key).Version})
		},
		"another's Delete": func(key string) error { return other.Delete(ctx, key, "") },
		"another's Clear":  func(string) error { return other.Clear(ctx) },
		"DEL":              func(key string) error { return c.Del(ctx, "ply:"+key).Err() },
		"SET":              func(key string) error { return c.Set(ctx, "ply:"+key, "x", 0).Err() },
		"time":             func(key string) error { return c.PExpire(ctx, "ply:"+key, time.Millisecond).Err() },
		"its own, and then another's": func(key string) error {
			return errors.Join(s.Put(ctx, key, store.Record{Data: []byte("x"), Version: get(t, s, key).Version}), other.Delete(ctx, key, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := fmt.Sprint("key-", len(name))
			put(t, s, key, "x") // also what is its own is heard when another changes it
			put(t, other, "settled", "x")
			n.waitFor(t, "settled")
			n.forget()
			require.NoError(t, change(key))
			n.waitFor(t, key)
		})
	}
	t.Run("FLUSHALL", func(t *testing.T) {
		n.forget()
		require.NoError(t, c.FlushAll(ctx).Err())
		n.waitFor(t, "")
	})
}

// What may have been missed is anything. Afterwards changes are heard again.
func TestNotifyReconnects(t *testing.T) {
	t.Parallel()
	srv := server.Start(t)
	proxy := fault.New(t, srv.Addr)
	s, other := open(t, proxy.Addr, redis.Options{Timeout: 200 * time.Millisecond}), open(t, srv.Addr, redis.Options{})
	n := listen(t, s)
	hears := func(t *testing.T) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); n.count("probe") == 0; <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("changes are not heard any more")
			}
			put(t, other, "probe", "x")
		}
		n.forget()
	}
	hears(t)
	for name, f := range map[string]func(){
		"reset":   proxy.Break,
		"restart": func() { srv.Kill(); srv.Start() },
		"gone":    func() { srv.Kill(); n.waitFor(t, ""); n.forget(); srv.Start() },
		"hole":    func() { proxy.Set(fault.Faults{Hole: true}); n.waitFor(t, ""); proxy.Set(fault.Faults{}) },
		"cut": func() {
			proxy.Set(fault.Faults{Cut: 400, How: fault.Close})
			proxy.Break()
			n.waitFor(t, "")
			proxy.Set(fault.Faults{})
			proxy.Break()
		},
	} {
		t.Run(name, func(t *testing.T) {
			n.forget()
			f()
			n.waitFor(t, "")
			hears(t)
		})
	}
}

// A server that does not tell is taken to have changed everything, again and again.
func TestNotifyWithoutTrackingReportsEverythingAgainAndAgain(t *testing.T) {
	t.Parallel()
	srv := server.Start(t)
	c := raw(t, srv.Addr)
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">pass", "~ply:*", "+@all", "-client").Err())
	s, err := redis.Open("redis://app:pass@"+srv.Addr, redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	put(t, s, "k", "v")
	n := listen(t, s)
	for range 2 {
		n.forget()
		n.waitFor(t, "")
	}
}

// What is remembered of one's own changes is bounded, and forgetting it loses nothing.
func TestNotifyManyOwnChanges(t *testing.T) {
	srv := server.Start(t)
	s, other := open(t, srv.Addr, redis.Options{}), open(t, srv.Addr, redis.Options{})
	n := listen(t, s)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 700 {
				if err := s.Put(t.Context(), fmt.Sprintf("many-%d-%d", w, i), store.Record{Data: []byte("x")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	n.forget()
	for _, key := range []string{"many-0-0", "many-3-350", "many-7-699"} {
		require.NoError(t, other.Delete(t.Context(), key, ""))
		n.waitFor(t, key)
	}
}
