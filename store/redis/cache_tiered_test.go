//go:build unix

package redis_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// startTiered starts a process with copies in L1. Without notices it would serve them for an hour.
func startTiered(t testing.TB, addr string, next http.RoundTripper) *process {
	t.Helper()
	s := open(t, addr, redis.Options{})
	l1 := cache.NewMemory(cache.MemoryOptions{})
	p := startProcess(t, addr, next, cache.Options{Store: cache.Tiered(l1, s), L1TTL: time.Hour})
	p.store = s
	return p
}

// inL1 reports whether the process answers a path without asking Redis.
func (p *process) inL1(t testing.TB, c interface{ Commands() int64 }, path string) bool {
	t.Helper()
	before := c.Commands()
	return p.get(t, path) && c.Commands() == before
}

// reads counts what Redis was asked to read.
type reads struct {
	t    testing.TB
	addr string
}

func (r reads) Commands() int64 {
	r.t.Helper()
	c := raw(r.t, r.addr)
	info := c.Info(r.t.Context(), "commandstats").Val()
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_getrange:calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			var calls int64
			for _, d := range n {
				calls = calls*10 + int64(d-'0')
			}
			return calls
		}
	}
	return 0
}

// A copy in L1 is dropped when another process invalidates it, or redis-cli deletes it, and stays when only this process has written.
func TestTieredFleet(t *testing.T) {
	srv := server.Start(t)
	o := &origin{}
	one, two := startTiered(t, srv.Addr, o), startTiered(t, srv.Addr, o)
	r := reads{t, srv.Addr}
	const path = "/l1/2000"
	settled := func(p *process) {
		t.Helper()
		p.stores(t, path)
		testutil.Eventually(t, "a copy in L1", func() bool { return p.inL1(t, r, path) })
	}
	goes := func(p *process, what string) {
		t.Helper()
		asked := o.asked.Load()
		testutil.Eventually(t, "hearing of "+what, func() bool { p.get(t, path); return o.asked.Load() > asked })
	}
	c := raw(t, srv.Addr)
	for range 3 {
		settled(one)
		settled(two)
		resp, err := one.client.Post("http://example.test"+path, "text/plain", strings.NewReader("x"))
		require.NoError(t, err)
		resp.Body.Close()
		goes(two, "an invalidation")

		settled(one)
		settled(two)
		require.NoError(t, c.FlushAll(t.Context()).Err())
		goes(two, "FLUSHALL")

		settled(one)
		settled(two)
		for _, key := range c.Keys(t.Context(), "ply:e1.*").Val() {
			require.NoError(t, c.Del(t.Context(), key).Err())
		}
		goes(one, "DEL")
	}
}

// Copies in L1 are served while Redis is away, and afterwards changes are heard again.
func TestTieredOverOutage(t *testing.T) {
	srv := server.Start(t)
	one, two := startTiered(t, srv.Addr, &origin{}), startTiered(t, srv.Addr, &origin{})
	const path = "/away/2000"
	for range 2 {
		one.hits(t, path)
		two.hits(t, path)
		srv.Kill()
		for range 20 {
			began := time.Now()
			one.get(t, path)
			two.get(t, path)
			if took := time.Since(began); took > 400*time.Millisecond+lateness() {
				t.Errorf("two requests take %v", took)
			}
		}
		srv.Start()
		works(t, one.store)
		for _, p := range []*process{one, two} {
			testutil.Eventually(t, "a store that is up", func() bool { p.get(t, "/other/100"); p.get(t, path); return !p.cache.Stats().StoreDown })
		}
		testutil.Eventually(t, "hearing again", func() bool {
			one.hits(t, path)
			two.hits(t, path)
			resp, err := one.client.Post("http://example.test"+path, "text/plain", strings.NewReader("x"))
			require.NoError(t, err)
			resp.Body.Close()
			for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); <-time.After(time.Millisecond) {
				if !two.get(t, path) {
					return true
				}
			}
			return false
		})
	}
}
