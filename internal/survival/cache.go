//go:build unix

package survival

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/middleware/cache"
)

// client is a program with a cache over the store, and an origin in memory.
type client struct {
	*http.Client
	cache *cache.Cache
	tb    testing.TB
}

func (trial Trial) client(t testing.TB, addr string) *client {
	t.Helper()
	return trial.over(t, addr, origin{})
}

// origin answers with bodies of the size that the end of the path says, and that prove whose they are.
type origin struct{}

func (origin) RoundTrip(r *http.Request) (*http.Response, error) {
	size, err := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if err != nil {
		return nil, err
	}
	b := body(r.URL.Path, rand.Uint64(), size)
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b)), Header: http.Header{
			"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Cache-Control": {"max-age=600"},
		}}, nil
}

// get reports whether the answer came from the cache. A failure and wrong bytes are errors of the test.
func (c *client) get(path string) (hit bool) {
	c.tb.Helper()
	resp, err := c.Get("http://example.test" + path)
	if err != nil {
		c.tb.Error(err)
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = proven(path, b)
	}
	if err != nil {
		c.tb.Errorf("GET %s: %v", path, err)
	}
	s, _ := cache.StatusOf(resp)
	return s.Hit
}

// hits waits until a path is answered from the cache.
func (c *client) hits(path string) {
	c.tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !c.get(path); wait(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.tb.Fatalf("%s is never answered from the cache: %+v", path, c.cache.Stats())
		}
	}
}

// crowd is what came of many requests.
type crowd struct {
	all, hits atomic.Int64
	longest   atomic.Int64
}

func (c *crowd) String() string {
	return fmt.Sprintf("%d requests, %d from the cache, longest %v", c.all.Load(), c.hits.Load(), time.Duration(c.longest.Load()).Round(time.Millisecond))
}

// ask has 32 callers ask until the context is done, a thousand times a second in all.
func (c *client) ask(ctx context.Context, to *crowd) {
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			tick := time.NewTicker(32 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				began := time.Now()
				if c.get(fmt.Sprintf("/crowd/%d/%d", rand.IntN(20), 200+2000*rand.IntN(20))) {
					to.hits.Add(1)
				}
				to.all.Add(1)
				for took := int64(time.Since(began)); ; {
					if now := to.longest.Load(); took <= now || to.longest.CompareAndSwap(now, took) {
						break
					}
				}
			}
		})
	}
	all.Wait()
}

// inTime checks that no request took longer than the store may, for looking it up and once more for what follows.
func (trial Trial) inTime(t *testing.T, c *crowd) {
	t.Helper()
	t.Logf("%v; a timer was up to %v late", c, time.Duration(trial.delays.worst.Load()).Round(time.Millisecond))
	if most := 2*trial.StoreTimeout + trial.delays.allowed(); time.Duration(c.longest.Load()) > most {
		t.Errorf("%v, want %v at most", c, most)
	}
}

func (trial Trial) cacheOver(t *testing.T, f fault.Faults) {
	proxy := fault.New(t, trial.Start(t).Addr)
	c := trial.client(t, proxy.Addr)
	c.hits("/before/100")
	proxy.Set(f)
	ctx, cancel := context.WithTimeout(t.Context(), moment(300*time.Millisecond))
	defer cancel()
	var all crowd
	c.ask(ctx, &all)
	trial.inTime(t, &all)
	proxy.Set(fault.Faults{})
	proxy.Break()
	c.hits("/before/100")
}

func (trial Trial) cacheOverHungServer(t *testing.T) {
	srv := trial.Start(t)
	c := trial.client(t, srv.Addr)
	for range 2 { // the second time shows that the first left nothing behind
		c.hits("/hung/1000")
		srv.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), moment(500*time.Millisecond))
		var all crowd
		c.ask(ctx, &all)
		cancel()
		srv.Resume()
		trial.inTime(t, &all)
		c.hits("/hung/1000")
	}
}

// cacheOverKilledServer kills the server every two seconds, or three times in a short test.
func (trial Trial) cacheOverKilledServer(t *testing.T) {
	srv := trial.Start(t)
	c := trial.client(t, srv.Addr)
	rounds, up := 3, 300*time.Millisecond
	if *long > 0 {
		rounds, up = int(*long/(2*time.Second)), 1700*time.Millisecond
	}
	var all crowd
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() { c.ask(ctx, &all) })
	for range rounds {
		wait(up)
		srv.Kill()
		wait(100 * time.Millisecond)
		srv.Start()
	}
	c.hits("/crowd/0/200")
	for deadline := time.Now().Add(30 * time.Second); all.hits.Load() == 0; wait(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("nothing came from the cache")
			break
		}
	}
	cancel()
	asking.Wait()
	trial.inTime(t, &all)
}

func (trial Trial) cacheOverNoServer(t *testing.T) {
	srv := trial.Start(t)
	srv.Kill()
	c := trial.client(t, srv.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), moment(300*time.Millisecond))
	defer cancel()
	var all crowd
	c.ask(ctx, &all)
	trial.inTime(t, &all)
	if n := all.hits.Load(); n != 0 {
		t.Errorf("%d answers came from a store that is away", n)
	}
	srv.Start()
	c.hits("/after/100")
}
