//go:build unix

// Package survival checks what a cache does over a store whose server is killed, hangs, is slow, refuses, or is away: every answer is right, none fails,
// and none comes later than the store's deadline. And that the store's own calls end with their context, with whole records or none.
//
//	survival.go   the trial, and what a store's calls must do
//	delays.go     how late a call may be on a busy machine
//	cache.go      what a cache over it must do
//	fleet.go      what caches over one store do for each other
//	load.go       bodies that prove whose they are, and those who ask for them
//	bench.go      what a hit and a miss cost over a store
package survival

import (
	"bytes"
	"context"
	"flag"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/store"
)

var (
	long  = flag.Duration("long", 0, "how long each fault lasts, such as 1m, instead of a moment")
	exact = flag.Bool("exact", false, "assert times to 20 ms, which needs a machine with nothing else to do")
)

// moment is for how long a fault lasts.
func moment(short time.Duration) time.Duration {
	if *long > 0 {
		return *long
	}
	return short
}

// A Trial is a store and its server.
type Trial struct {
	// Start starts a server that ends with the test, and nothing else uses.
	Start func(t *testing.T) *testserver.Server

	// URL returns the URL of the store at an address. Its own timeout should be a second or less.
	URL func(addr string) string

	// StoreTimeout is what the cache gives the store. Zero means 100 ms, as there.
	StoreTimeout time.Duration

	delays *delays // of the subtest
}

// Run runs all subtests.
func Run(t *testing.T, trial Trial) {
	t.Helper()
	if trial.StoreTimeout == 0 {
		trial.StoreTimeout = 100 * time.Millisecond
	}
	run := func(name string, test func(Trial, *testing.T)) {
		t.Run(name, func(t *testing.T) {
			trial := trial
			trial.delays = watchDelays(t)
			test(trial, t)
		})
	}
	for name, f := range faults {
		run("store over "+name, func(trial Trial, t *testing.T) { trial.storeOver(t, f) })
		run("cache over "+name, func(trial Trial, t *testing.T) { trial.cacheOver(t, f) })
	}
	run("store over a hung server", Trial.storeOverHungServer)
	run("cache over a hung server", Trial.cacheOverHungServer)
	run("cache over a killed server", Trial.cacheOverKilledServer)
	run("cache over a server that is away", Trial.cacheOverNoServer)
}

var faults = map[string]fault.Faults{
	"latency":         {Delay: 3 * time.Millisecond},
	"pieces":          {Slice: 7},
	"reset mid-reply": {Cut: 60_000, How: fault.Reset},
	"cut replies":     {Cut: 60_000, How: fault.Close},
	"hung mid-reply":  {Cut: 60_000, How: fault.Hang},
	"a hole":          {Hole: true},
}

// open opens the store as another process would.
func (trial Trial) open(t testing.TB, addr string) store.Store {
	t.Helper()
	s, err := store.OpenURL(t.Context(), trial.URL(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// storeOver: whatever happens to replies on their way, no caller gets the reply of another, none is late, and afterwards everything is as before.
func (trial Trial) storeOver(t *testing.T, f fault.Faults) {
	proxy := fault.New(t, trial.Start(t).Addr)
	s := trial.open(t, proxy.Addr)
	works(t, s)
	proxy.Set(f)
	ctx, cancel := context.WithTimeout(t.Context(), moment(200*time.Millisecond))
	defer cancel()
	c := trial.load(t, ctx, s)
	t.Log(c)
	if c.wrong.Load()+c.late.Load() != 0 {
		t.Errorf("%v, want none wrong or late", c)
	}
	proxy.Set(fault.Faults{})
	proxy.Break()
	works(t, s)
}

// works waits until the store reads and writes.
func works(t *testing.T, s store.Store) {
	t.Helper()
	for began := time.Now(); ; wait(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := s.Delete(ctx, "works", "")
		if err == nil {
			err = s.Put(ctx, "works", store.Record{Data: []byte("yes")})
		}
		var r store.Record
		if err == nil {
			r, err = s.Get(ctx, "works")
		}
		cancel()
		if err == nil && string(r.Data) == "yes" {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the store does not work: %q, %v", r.Data, err)
		}
	}
}

// wait waits for other processes, which announce nothing.
func wait(d time.Duration) { <-time.After(d) }

// storeOverHungServer: a server that hangs holds up no caller beyond its context, canceled or late, and leaves no goroutines behind.
func (trial Trial) storeOverHungServer(t *testing.T) {
	const patience = 50 * time.Millisecond
	srv := trial.Start(t)
	s := trial.open(t, srv.Addr)
	works(t, s)
	calls := map[string]func(context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "works"); return err },
		"Put":    func(ctx context.Context) error { return s.Put(ctx, "works", store.Record{Data: make([]byte, 1<<20)}) },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, "works", "") },
	}
	if m, ok := store.As[store.MultiGetter](s); ok {
		calls["GetMulti"] = func(ctx context.Context) error { _, err := m.GetMulti(ctx, []string{"works", "l"}); return err }
	}
	if c, ok := store.As[store.Clearer](s); ok {
		calls["Clear"] = c.Clear
	}
	if r, ok := store.As[store.Ranger](s); ok {
		calls["Range"] = func(ctx context.Context) error {
			return r.Range(ctx, store.KindEntry, func(string, store.Record) bool { return true })
		}
	}
	base := goroutines()
	srv.Pause()
	for _, canceled := range []bool{false, true} {
		var all sync.WaitGroup
		for name, call := range calls {
			for range 8 {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					if canceled {
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(patience, cancel)
					}
					defer cancel()
					began := time.Now()
					err := call(ctx)
					if took := time.Since(began); err == nil || took > patience+trial.delays.allowed() {
						t.Errorf("%s: %v after %v, want an error after %v", name, err, took, patience)
					}
				})
			}
		}
		all.Wait()
	}
	srv.Resume()
	works(t, s)
	for deadline := time.Now().Add(20 * time.Second); goroutines() > base+8; wait(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before the server hung there were %d", goroutines(), base)
		}
	}
}

// goroutines counts them without those of the connections that net/http keeps. Dials that outlive their callers fill its pool,
// which the store bounds; a call that waits on one of those connections has a goroutine of its own, which counts.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	count := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if !bytes.Contains(stack, []byte("net/http.(*persistConn).")) || bytes.Contains(stack, []byte("net/http.(*persistConn).roundTrip")) {
			count++
		}
	}
	return count
}
