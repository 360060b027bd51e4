//go:build unix

package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

// origin answers with bodies that prove whose they are; the path says how large they are. It needs no network.
type origin struct{ asked atomic.Int64 }

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	seq := o.asked.Add(1)
	if strings.HasPrefix(r.URL.Path, "/ranged/") {
		return ranged(r), nil
	}
	resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: http.NoBody, Header: http.Header{
		"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Cache-Control": {"max-age=600"},
	}}
	if r.Body != nil {
		r.Body.Close()
	}
	if r.Method == http.MethodGet {
		size, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		b := body(r.URL.Path, uint64(seq), size)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	}
	return resp, nil
}

// ranged is the answer of an origin whose answers have a tag, and whose parts can be asked for.
func ranged(r *http.Request) *http.Response {
	size, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "max-age=600")
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body(r.URL.Path, 1, size)))
	resp := w.Result()
	resp.Request = r
	return resp
}

// process is what stands for one process of a fleet: a cache of its own, and a store of its own in the Redis of all.
type process struct {
	cache  *cache.Cache
	store  *redis.Store
	client *http.Client
}

func startProcess(t testing.TB, addr string, next http.RoundTripper, o cache.Options) *process {
	t.Helper()
	p := &process{store: open(t, addr, redis.Options{})}
	if o.Store == nil {
		o.Store = p.store
	}
	c, err := cache.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	p.cache, p.client = c, &http.Client{Transport: c.Middleware(next)}
	return p
}

// get returns whether the answer came from the cache. Wrong bytes and failures are errors of the test.
func (p *process) get(t testing.TB, path string) (hit bool) {
	t.Helper()
	hit, err := p.try(t, path)
	if err != nil {
		t.Errorf("GET %s: %v", path, err)
	}
	return hit
}

// try is get where failures may be. Wrong bytes are an error of the test all the same.
func (p *process) try(t testing.TB, path string) (hit bool, err error) {
	t.Helper()
	resp, err := p.client.Get("http://example.test" + path)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	s, _ := cache.StatusOf(resp)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return s.Hit, err
	}
	if err := proven(path, b); err != nil {
		t.Errorf("GET %s: %v", path, err)
	}
	return s.Hit, nil
}

// stores asks for a path, and waits until the answer is stored, unless it came from the cache.
func (p *process) stores(t testing.TB, path string) {
	t.Helper()
	before := p.cache.Stats().Stored
	if !p.get(t, path) {
		testutil.Eventually(t, "storing", func() bool { return p.cache.Stats().Stored > before })
	}
}

// hits waits until a path is answered from the cache.
func (p *process) hits(t testing.TB, path string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !p.get(t, path); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is never answered from the cache: %+v", path, p.cache.Stats())
		}
	}
}

// What one process fetches, others have, and what one invalidates, no other serves any more.
func TestProcessesShareResponsesAndInvalidations(t *testing.T) {
	srv := server.Start(t)
	o := &origin{}
	options := cache.Options{StoreTimeout: 10 * time.Second} // nothing here is about a slow machine
	one, two := startProcess(t, srv.Addr, o, options), startProcess(t, srv.Addr, o, options)
	for _, size := range []int{100, 20_000, 300_000, 5 << 20} {
		path := fmt.Sprintf("/a/%d", size)
		one.stores(t, path)
		two.hits(t, path)
		asked := o.asked.Load()
		if !two.get(t, path) || !one.get(t, path) || o.asked.Load() != asked {
			t.Errorf("%s is fetched again", path)
		}
		resp, err := two.client.Post("http://example.test"+path, "text/plain", strings.NewReader("x"))
		require.NoError(t, err)
		resp.Body.Close()
		if one.get(t, path) {
			t.Errorf("%s is served after another process has invalidated it", path)
		}
	}
}

// A body of many pieces is served whole. Where one is gone, the rest comes from the origin if that can give it; else the response ends with an error
// and the next is fetched.
func TestLargeBodies(t *testing.T) {
	srv := server.Start(t)
	options := cache.Options{MaxEntryBytes: 32 << 20, StoreTimeout: 10 * time.Second}
	one, two := startProcess(t, srv.Addr, &origin{}, options), startProcess(t, srv.Addr, &origin{}, options)
	c := raw(t, srv.Addr)
	for _, path := range []string{"/ranged/2621440", "/large/2621440"} {
		one.stores(t, path)
		two.hits(t, path)
		names, err := c.Keys(t.Context(), "ply:b1.*.7").Result()
		require.NoError(t, err)
		if len(names) == 0 {
			t.Fatal("no piece is in Redis")
		}
		require.NoError(t, c.Del(t.Context(), names...).Err())
		if _, err := two.try(t, path); err != nil && strings.HasPrefix(path, "/ranged/") {
			t.Errorf("a body whose rest the origin has ends with %v", err)
		}
		for _, p := range []*process{two, one} {
			testutil.Eventually(t, "healing", func() bool {
				_, err := p.try(t, path)
				return err == nil
			})
			testutil.Eventually(t, "a hit", func() bool {
				hit, err := p.try(t, path)
				return hit && err == nil
			})
		}
	}
}

// A large body that another process replaces is read to its end.
func TestLargeBodyReplacedWhileReadIsReadToItsEnd(t *testing.T) {
	srv := server.Start(t)
	options := cache.Options{StoreTimeout: 10 * time.Second}
	one, two := startProcess(t, srv.Addr, &origin{}, options), startProcess(t, srv.Addr, &origin{}, options)
	const path = "/large/2621440"
	one.stores(t, path)
	two.hits(t, path)
	resp, err := two.client.Get("http://example.test" + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	head := make([]byte, 1000)
	_, err = io.ReadFull(resp.Body, head)
	require.NoError(t, err)
	r, err := http.NewRequest(http.MethodGet, "http://example.test"+path, nil)
	require.NoError(t, err)
	r.Header.Set("Cache-Control", "no-cache") // one fetches again, and stores what it has fetched
	before := one.cache.Stats().Stored
	again, err := one.client.Do(r)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, again.Body)
	require.NoError(t, err)
	again.Body.Close()
	testutil.Eventually(t, "replacement", func() bool { return one.cache.Stats().Stored > before })
	rest, err := io.ReadAll(resp.Body)
	if err == nil {
		err = proven(path, append(head, rest...))
	}
	if err != nil {
		t.Errorf("the body that was being read: %v", err)
	}
}

// Every flipped bit and every truncation of what is in Redis is a miss, and heals.
func TestFlippedBitsAndTruncationsAreMisses(t *testing.T) {
	srv := server.Start(t)
	o := &origin{}
	p := startProcess(t, srv.Addr, o, cache.Options{})
	c, ctx := raw(t, srv.Addr), t.Context()
	const path = "/t/300"
	p.get(t, path)
	p.hits(t, path)
	var name string
	for _, key := range c.Keys(ctx, "ply:*").Val() {
		if strings.Contains(c.GetRange(ctx, key, 0, 60).Val(), " entry ") {
			name = key
		}
	}
	good := c.Get(ctx, name).Val()
	label := strings.Index(good, "label=") // what follows, to the end of the line, is for people
	data := strings.IndexByte(good, '\n') + 1
	step := 7
	if *long > 0 {
		step = 1
	}
	for i := 0; i < len(good); i += step {
		if i >= label && i < data-1 {
			continue
		}
		asked := o.asked.Load()
		c.Set(ctx, name, good[:i], time.Hour)
		if p.get(t, path); o.asked.Load() == asked {
			t.Fatalf("truncated to %d of %d bytes it is served", i, len(good))
		}
		p.hits(t, path)
		if i < data { // in the first line only what counts is protected, and the data against another line's
			continue
		}
		asked = o.asked.Load()
		c.Set(ctx, name, good[:i]+string(good[i]^1)+good[i+1:], time.Hour)
		if p.get(t, path); o.asked.Load() == asked {
			t.Fatalf("with bit 0 of byte %d flipped it is served", i)
		}
		p.hits(t, path)
	}
}

// crowd has workers ask for paths until the context is done. It returns how many answers there were, from the cache and in all, and the longest wait.
func (p *process) crowd(t testing.TB, ctx context.Context, workers, rate int) (hits, all int64, longest time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	var hit, sum, most atomic.Int64
	for range workers {
		wg.Go(func() {
			tick := time.NewTicker(time.Second * time.Duration(workers) / time.Duration(rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				began := time.Now()
				if p.get(t, fmt.Sprintf("/crowd/%d/%d", rand.IntN(20), 200+1000*rand.IntN(20))) {
					hit.Add(1)
				}
				sum.Add(1)
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Logf("a request takes %v, with %+v", took, p.cache.Stats())
				}
				for took := int64(time.Since(began)); ; {
					if now := most.Load(); took <= now || most.CompareAndSwap(now, took) {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	return hit.Load(), sum.Load(), time.Duration(most.Load())
}

// A Redis that hangs costs a request no more than the store's deadline, and soon nothing, and is used again when it goes on.
func TestCacheOverHungServer(t *testing.T) {
	srv := server.Start(t)
	o := &origin{}
	p := startProcess(t, srv.Addr, o, cache.Options{StoreTimeout: 100 * time.Millisecond})
	const path = "/h/1000"
	p.get(t, path)
	p.hits(t, path)
	for range 2 { // the second time shows that the first left nothing behind
		srv.Pause()
		var longest time.Duration
		for range 30 {
			began := time.Now()
			p.get(t, path)
			longest = max(longest, time.Since(began))
		}
		if longest > 100*time.Millisecond+lateness() {
			t.Errorf("a request takes %v, want the deadline of 100 ms and %v", longest, lateness())
		}
		if !p.cache.Stats().StoreDown {
			t.Error("the store still counts as up")
		}
		began := time.Now()
		srv.Resume()
		p.hits(t, path)
		t.Logf("longest request %v; from the cache again after %v", longest, time.Since(began))
		if took := time.Since(began); *exact && took > 2*time.Second {
			t.Errorf("answers come from the cache again after %v, want 2 s", took)
		}
	}
}

// A Redis that is killed and started again and again fails no request.
func TestCacheOverKilledServer(t *testing.T) {
	srv := server.Start(t)
	o := &origin{}
	p := startProcess(t, srv.Addr, o, cache.Options{})
	rounds := max(int(moment(0)/(2*time.Second)), 2)
	var hits, all int64
	var longest, recovery time.Duration
	for range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		h, n, l := p.crowd(t, ctx, 50, 500)
		cancel()
		hits, all, longest = hits+h, all+n, max(longest, l)
		srv.Kill()
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		h, n, l = p.crowd(t, ctx, 50, 500)
		cancel()
		hits, all, longest = hits+h, all+n, max(longest, l)
		srv.Start()
		began := time.Now()
		p.hits(t, "/crowd/0/200")
		recovery = max(recovery, time.Since(began))
	}
	t.Logf("%d rounds, %d requests, %d from the cache; longest %v; from the cache again after %v at most", rounds, all, hits, longest, recovery)
	if *exact && recovery > 2*time.Second {
		t.Errorf("answers come from the cache again after %v, want 2 s", recovery)
	}
	if hits == 0 {
		t.Error("nothing came from the cache")
	}
}

// Whatever happens on the way to Redis, every answer is whole and right.
func TestCacheOverFaults(t *testing.T) {
	srv := server.Start(t)
	for name, f := range map[string]fault.Faults{
		"latency":   {Delay: 5 * time.Millisecond},
		"1 byte":    {Slice: 1},
		"reset":     {Cut: 100_000, How: fault.Reset},
		"truncated": {Cut: 100_000, How: fault.Close},
		"hung":      {Cut: 100_000, How: fault.Hang},
		"hole":      {Hole: true},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := fault.New(t, srv.Addr)
			p := startProcess(t, proxy.Addr, &origin{}, cache.Options{StoreTimeout: 50 * time.Millisecond})
			p.get(t, "/f/100")
			p.hits(t, "/f/100")
			proxy.Set(f)
			ctx, cancel := context.WithTimeout(t.Context(), moment(200*time.Millisecond))
			defer cancel()
			hits, all, longest := p.crowd(t, ctx, 32, 2000)
			t.Logf("%d requests, %d from the cache, longest %v, %+v", all, hits, longest, p.cache.Stats())
			if longest > 100*time.Millisecond+lateness() { // a deadline for the lookup and one for what follows
				t.Errorf("a request takes %v", longest)
			}
			proxy.Set(fault.Faults{})
			p.get(t, "/f/100")
			p.hits(t, "/f/100")
		})
	}
}

// A Redis that refuses to store, or forgets, fails no request.
func TestCacheOverRefusals(t *testing.T) {
	srv := server.Start(t)
	c, ctx := raw(t, srv.Addr), t.Context()
	p := startProcess(t, srv.Addr, &origin{}, cache.Options{})
	for name, change := range map[string]struct{ bad, good func() error }{
		"OOM":      {func() error { return c.ConfigSet(ctx, "maxmemory", "1").Err() }, func() error { return c.ConfigSet(ctx, "maxmemory", "0").Err() }},
		"READONLY": {func() error { return c.ReplicaOf(ctx, "127.0.0.1", "1").Err() }, func() error { return c.ReplicaOf(ctx, "no", "one").Err() }},
		"FLUSHALL": {func() error { return c.FlushAll(ctx).Err() }, func() error { return nil }},
		"lists":    {func() error { return lists(ctx, c) }, func() error { return c.FlushAll(ctx).Err() }},
	} {
		t.Run(name, func(t *testing.T) {
			p.get(t, "/r/100")
			p.hits(t, "/r/100")
			require.NoError(t, change.bad())
			for i := range 20 {
				p.get(t, "/r/100")
				p.get(t, fmt.Sprintf("/r/%d/100", i))
			}
			require.NoError(t, change.good())
			p.get(t, "/r/100")
			p.hits(t, "/r/100")
		})
	}
}

// lists puts a list in the place of each string.
func lists(ctx context.Context, c *goredis.Client) error {
	for _, key := range c.Keys(ctx, "ply:*").Val() {
		if err := c.Del(ctx, key).Err(); err != nil {
			return err
		}
		if err := c.RPush(ctx, key, "a").Err(); err != nil {
			return err
		}
	}
	return nil
}

// A generation of a later version, as an upgrade under way brings them, costs its own URL and no other. An invalidation removes it.
func TestCacheOverGenerationsOfALaterVersion(t *testing.T) {
	srv := server.Start(t)
	p := startProcess(t, srv.Addr, &origin{}, cache.Options{StoreTimeout: 5 * time.Second})
	p.get(t, "/bad/100")
	p.stores(t, "/bad/100")
	const later = `for _, k in ipairs(redis.call('KEYS', '*')) do
		local v = redis.call('GET', k)
		if string.find(string.sub(v, 1, 60), ' mark ', 1, true) then redis.call('SET', k, 'ply2' .. string.sub(v, 5)) end
	end`
	c := raw(t, srv.Addr)
	if err := c.Eval(t.Context(), later, nil).Err(); err != nil && err != goredis.Nil {
		t.Fatal(err)
	}
	p.get(t, "/fine/100")
	p.stores(t, "/fine/100")
	for range 10 {
		for range 5 {
			p.get(t, "/bad/100")
		}
		if !p.get(t, "/fine/100") {
			t.Fatalf("no hit for another URL: %+v", p.cache.Stats())
		}
	}
	if err := p.cache.DeleteURL(t.Context(), "http://example.test/bad/100"); err != nil {
		t.Error(err)
	}
	p.hits(t, "/bad/100")
}
