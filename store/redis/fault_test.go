//go:build unix

package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// Whatever happens to replies on their way, no caller gets the reply of another, and afterwards everything is as before.
func TestFaultsOnTheWay(t *testing.T) {
	for name, f := range map[string]fault.Faults{
		"latency":            {Delay: 3 * time.Millisecond},
		"1 byte":             {Slice: 1},
		"reset mid-reply":    {Cut: 60_000, How: fault.Reset},
		"reset in the hello": {Cut: 300, How: fault.Reset},
		"truncated":          {Cut: 60_000, How: fault.Close},
		"hung mid-reply":     {Cut: 60_000, How: fault.Hang},
		"hole":               {Hole: true},
		"all together":       {Delay: time.Millisecond, Slice: 700, Cut: 30_000, How: fault.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server.Start(t)
			proxy := fault.New(t, srv.Addr)
			s := open(t, proxy.Addr, redis.Options{Timeout: 200 * time.Millisecond})
			put(t, open(t, srv.Addr, redis.Options{Timeout: 20 * time.Second}), "before", "before")
			works(t, s)
			proxy.Set(f)
			if f.Hole {
				time.AfterFunc(moment(200*time.Millisecond)/2, proxy.Break)
			}
			ctx, cancel := context.WithTimeout(t.Context(), moment(200*time.Millisecond))
			defer cancel()
			c := load(t, ctx, s, 16, 50*time.Millisecond)
			t.Log(c)
			if c.wrong.Load()+c.late.Load() != 0 {
				t.Errorf("%v, want none wrong or late", c)
			}
			proxy.Set(fault.Faults{})
			works(t, s)
		})
	}
}

// works waits until the store reads and writes, which is soon.
func works(t *testing.T, s *redis.Store) {
	t.Helper()
	began := time.Now()
	for {
		err := s.Delete(t.Context(), "works", "")
		if err == nil {
			err = s.Put(t.Context(), "works", store.Record{Data: []byte("yes")})
		}
		var r store.Record
		if err == nil {
			r, err = s.Get(t.Context(), "works")
		}
		if err == nil && string(r.Data) == "yes" {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the store does not work: %q, %v", r.Data, err)
		}
		<-time.After(time.Millisecond)
	}
	if took := time.Since(began); *exact && took > 2*time.Second {
		t.Errorf("the store works %v after the fault, want 2 s at most", took)
	}
}

// A change whose reply got lost is made once, and reported as made.
func TestChangeWhoseReplyIsLostIsMadeOnce(t *testing.T) {
	srv := server.Start(t)
	proxy := fault.New(t, srv.Addr)
	s := open(t, proxy.Addr, redis.Options{Timeout: 10 * time.Second})
	for _, size := range []int{100, 100_000} {
		first := put(t, s, "k", "v")
		proxy.Lose(1)
		if err := s.Put(t.Context(), "k", store.Record{Data: body("k", 1, size), Version: first.Version}); err != nil {
			t.Errorf("Put of %d bytes in the place of a record: %v", size, err)
		}
		require.NoError(t, proven("k", get(t, s, "k").Data))
		proxy.Lose(1)
		if err := s.Delete(t.Context(), "k", get(t, s, "k").Version); err != nil {
			t.Errorf("Delete: %v", err)
		}
		require.NoError(t, s.Delete(t.Context(), "k", ""))
		proxy.Lose(1)
		if err := s.Put(t.Context(), "k", store.Record{Data: body("k", 1, size)}); err != nil {
			t.Errorf("Put of %d bytes: %v", size, err)
		}
		require.NoError(t, proven("k", get(t, s, "k").Data))
	}
}

// A call that meets a fault returns an error and no record. Afterwards the record is the old or the new one, whole; if the change never arrived, the old one.
func TestCallThatMeetsAFaultReturnsAnErrorAndLeavesWholeRecords(t *testing.T) {
	srv := server.Start(t)
	show := func(t *testing.T) func(string, store.Record) bool {
		return func(key string, _ store.Record) bool { t.Errorf("Range shows %q", key); return true }
	}
	before, small, large := body("k", 1, 5000), body("k", 2, 100), body("k", 3, 100_000)
	for _, fault := range []struct {
		name   string
		set    func(p *fault.Proxy)
		may    bool // the change may have been made
		change error
	}{
		{"no request arrives", func(p *fault.Proxy) { p.Set(fault.Faults{Hole: true}) }, false, context.DeadlineExceeded},
		{"every reply is lost", func(p *fault.Proxy) { p.Lose(1000) }, true, nil},
	} {
		for name, c := range map[string]struct {
			call func(t *testing.T, s *redis.Store, ctx context.Context, version string) error
			new  []byte // what is there when the call was successful; nil stands for nothing
			bare bool   // nothing was there before
			read bool
		}{
			"Get": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error {
				r, err := s.Get(ctx, "k")
				if r.Version != "" || r.Data != nil {
					t.Errorf("Get returns %d bytes with its error", len(r.Data))
				}
				return err
			}, read: true},
			"GetMulti": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error {
				records, err := s.GetMulti(ctx, []string{"k", "l"})
				if records != nil {
					t.Errorf("GetMulti returns %d records with its error", len(records))
				}
				return err
			}, read: true},
			"Range": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error {
				return s.Range(ctx, store.KindEntry, show(t))
			}, read: true},
			"Put of a new record": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error {
				return s.Put(ctx, "k", store.Record{Data: small})
			}, new: small, bare: true},
			"Put of a large new record": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error {
				return s.Put(ctx, "k", store.Record{Data: large})
			}, new: large, bare: true},
			"Put in the place of another": {call: func(t *testing.T, s *redis.Store, ctx context.Context, version string) error {
				return s.Put(ctx, "k", store.Record{Data: small, Version: version})
			}, new: small},
			"Delete": {call: func(t *testing.T, s *redis.Store, ctx context.Context, version string) error {
				return s.Delete(ctx, "k", version)
			}},
			"Clear": {call: func(t *testing.T, s *redis.Store, ctx context.Context, _ string) error { return s.Clear(ctx) }},
		} {
			t.Run(name+", "+fault.name, func(t *testing.T) {
				direct := open(t, srv.Addr, redis.Options{})
				require.NoError(t, direct.Delete(t.Context(), "k", ""))
				old, version := []byte(nil), ""
				if !c.bare {
					old, version = before, put(t, direct, "k", string(before)).Version
				}
				s, proxy := openBehindProxy(t, srv.Addr)
				fault.set(proxy)
				ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
				defer cancel()
				err := c.call(t, s, ctx, version)
				if err == nil || fault.change != nil && !errors.Is(err, fault.change) {
					t.Errorf("%v, want an error, %v", err, fault.change)
				}
				proxy.Lose(0)
				proxy.Set(faultless)
				proxy.Break()
				works(t, s)
				got := get(t, direct, "k").Data
				if !bytes.Equal(got, old) && (c.read || !fault.may || !bytes.Equal(got, c.new)) {
					t.Errorf("afterwards %d bytes are there, want the %d of before, or where it may be the %d of the change", len(got), len(old), len(c.new))
				}
			})
		}
	}
}

var faultless fault.Faults

func openBehindProxy(t *testing.T, addr string) (*redis.Store, *fault.Proxy) {
	t.Helper()
	proxy := fault.New(t, addr)
	s := open(t, proxy.Addr, redis.Options{Timeout: 100 * time.Millisecond})
	works(t, s) // the connection is there
	return s, proxy
}

// A server that hangs holds up no caller beyond its deadline, and no goroutines beyond Options.Connections.
func TestHungServer(t *testing.T) {
	srv := server.Start(t)
	const connections = 8
	s := open(t, srv.Addr, redis.Options{Connections: connections, Timeout: 300 * time.Millisecond})
	put(t, s, "k", "v")
	calls := map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { _, err := s.Get(ctx, "k"); return err },
		"multi":  func(ctx context.Context) error { _, err := s.GetMulti(ctx, []string{"k", "l"}); return err },
		"put":    func(ctx context.Context) error { return s.Put(ctx, "k", store.Record{Data: make([]byte, 1<<20)}) },
		"delete": func(ctx context.Context) error { return s.Delete(ctx, "k", "") },
		"range": func(ctx context.Context) error {
			return s.Range(ctx, store.KindEntry, func(string, store.Record) bool { return true })
		},
		"clear": s.Clear,
		"ping":  s.Ping,
	}
	srv.Pause()
	base := runtime.NumGoroutine()
	var mu sync.Mutex // guards late
	var late []time.Duration
	for _, canceled := range []bool{false, true} {
		for range 4 {
			var wg sync.WaitGroup
			for name, f := range calls {
				for range 4 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
						if canceled {
							ctx, cancel = context.WithCancel(t.Context())
							time.AfterFunc(50*time.Millisecond, cancel)
						}
						defer cancel()
						began := time.Now()
						if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
							t.Errorf("%s: %v, want the context's error", name, err)
						}
						mu.Lock()
						defer mu.Unlock()
						late = append(late, time.Since(began)-50*time.Millisecond)
					})
				}
			}
			wg.Wait()
			// A call that was given up has one goroutine, and its connection may be being made by one of the client.
			if n := runtime.NumGoroutine() - base; n > 4*connections {
				t.Fatalf("%d goroutines are left after the calls, with %d connections", n, connections)
			}
		}
	}
	slices.Sort(late)
	t.Logf("%d calls; beyond their 50 ms: median %v, 99 %% %v, most %v", len(late), late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
	if most := late[len(late)-1]; most > lateness() {
		t.Errorf("a call takes %v more than it has, want %v at most", most, lateness())
	}
	began := time.Now()
	if _, err := s.Get(t.Context(), "k"); err == nil || time.Since(began) > 300*time.Millisecond+lateness() {
		t.Errorf("Get without a deadline: %v after %v, want an error after Options.Timeout", err, time.Since(began))
	}
	patient := open(t, srv.Addr, redis.Options{Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := patient.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a context that is canceled: %v", err)
	}
	srv.Resume()
	works(t, s)
}

// What the server refuses is an error, or nothing there, and over when the server has got over it.
func TestRefusalIsAnErrorUntilTheServerRecovers(t *testing.T) {
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{}), raw(t, srv.Addr), t.Context()
	fails := func(t *testing.T, what string, err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), "redis: ") || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want an error with %s", err, what)
		}
	}
	t.Run("FLUSHALL", func(t *testing.T) {
		r := put(t, s, "k", "v")
		require.NoError(t, c.FlushAll(ctx).Err())
		if r := get(t, s, "k"); r.Version != "" {
			t.Errorf("Get returns %q", r.Data)
		}
		if err := s.Put(ctx, "k", store.Record{Data: []byte("x"), Version: r.Version}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Put in the place of what is gone: %v, want ErrConflict", err)
		}
		works(t, s)
	})
	t.Run("SCRIPT FLUSH", func(t *testing.T) {
		for range 3 {
			require.NoError(t, c.ScriptFlush(ctx).Err())
			put(t, s, "k", "v")
		}
	})
	t.Run("READONLY", func(t *testing.T) {
		put(t, s, "k", "v")
		require.NoError(t, c.ReplicaOf(ctx, "127.0.0.1", "1").Err())
		fails(t, "READONLY", s.Put(ctx, "k2", store.Record{Data: []byte("x")}))
		fails(t, "READONLY", s.Delete(ctx, "k", ""))
		if r := get(t, s, "k"); string(r.Data) != "v" {
			t.Errorf("Get returns %q of a replica", r.Data)
		}
		require.NoError(t, c.ReplicaOf(ctx, "no", "one").Err())
		works(t, s)
	})
	t.Run("OOM", func(t *testing.T) {
		put(t, s, "k", "v")
		c.ConfigSet(ctx, "maxmemory", "1")
		defer c.ConfigSet(ctx, "maxmemory", "0")
		fails(t, "OOM", s.Put(ctx, "k2", store.Record{Data: []byte("x")}))
		if r := get(t, s, "k"); string(r.Data) != "v" {
			t.Errorf("Get returns %q of a full server", r.Data)
		}
		if err := s.Delete(ctx, "k", ""); err != nil { // an invalidation has to work all the same
			t.Errorf("Delete: %v", err)
		}
		c.ConfigSet(ctx, "maxmemory", "0")
		works(t, s)
	})
	t.Run("restart", func(t *testing.T) {
		put(t, s, "k", "v")
		srv.Kill()
		_, err := s.Get(ctx, "k")
		fails(t, "", err)
		srv.Start()
		works(t, s)
	})
}

// A Redis that has to drop something drops records, and the store goes on.
func TestEviction(t *testing.T) {
	t.Parallel()
	srv := server.Start(t)
	s, c, ctx := open(t, srv.Addr, redis.Options{}), raw(t, srv.Addr), t.Context()
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl", "allkeys-random"} {
		t.Run(policy, func(t *testing.T) {
			require.NoError(t, c.FlushAll(ctx).Err())
			require.NoError(t, c.ConfigSet(ctx, "maxmemory-policy", policy).Err())
			require.NoError(t, c.ConfigSet(ctx, "maxmemory", "6mb").Err())
			const n = 200
			for i := range n {
				key := fmt.Sprintf("evict-%d", i)
				require.NoError(t, s.Put(ctx, key, store.Record{Data: body(key, 1, 100_000)}))
			}
			there := 0
			for i := range n {
				key := fmt.Sprintf("evict-%d", i)
				if r := get(t, s, key); r.Version != "" {
					there++
					require.NoError(t, proven(key, r.Data))
				}
			}
			if there == 0 || there > 60 {
				t.Errorf("%d of %d records of 100 kB are in 6 MB", there, n)
			}
		})
	}
}

// Close leaves nothing running, whatever has happened before.
func TestCloseLeavesNothing(t *testing.T) {
	srv := server.Start(t)
	proxy := fault.New(t, srv.Addr)
	plytest.CheckGoroutines(t)
	s, err := redis.Open("redis://"+proxy.Addr, redis.Options{Timeout: 100 * time.Millisecond})
	require.NoError(t, err)
	defer proxy.Break()
	s.Notify(func(string) {})
	put(t, s, "k", "v")
	proxy.Set(fault.Faults{Cut: 2000, How: fault.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	load(t, ctx, s, 8, 10*time.Millisecond)
	stop := s.Notify(func(string) {})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	stop()
	s.Notify(func(string) { t.Error("Notify calls after Close") })()
	if _, err := s.Get(t.Context(), "k"); err == nil {
		t.Error("Get works after Close")
	}
}
