package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestMemoryKeepsItsBoundsUnderConcurrency(t *testing.T) {
	const maxBytes, maxEntries = 1 << 20, 1500
	memory := cache.NewMemory(cache.MemoryOptions{MaxBytes: maxBytes, MaxEntries: maxEntries})
	c, err := cache.New(cache.Options{Store: memory})
	require.NoError(t, err)
	defer c.Close()
	body := strings.Repeat("x", 700)
	rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp := reply(200, body[:len(r.URL.Path)*7%700], "Cache-Control: max-age=60")
		resp.Request = r
		return resp, nil
	}))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				r, _ := http.NewRequest("GET", fmt.Sprintf("http://h/%d/%s", i%(worker+1)*1000+i, strings.Repeat("a", i%50)), nil)
				if i%100 == 99 {
					r.Method = "DELETE"
				}
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				readAll(resp)
				if s := c.Stats(); s.Bytes > maxBytes || s.Entries > maxEntries || s.Bytes < 0 || s.Entries < 0 {
					t.Errorf("%d bytes, %d entries", s.Bytes, s.Entries)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Evicted == 0 {
		t.Error("the test does not press against the bounds")
	}
	require.NoError(t, c.Clear(t.Context()))
	if s := c.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("after Clear: %d bytes, %d entries", s.Bytes, s.Entries)
	}
}

func TestMemoryAtItsLimits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		size := func(o cache.MemoryOptions) (outcome string, entries int64) {
			g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(o)})
			g.get(url)
			have, _ := g.get(url)
			return have.Outcome, g.Stats().Entries
		}
		if outcome, n := size(cache.MemoryOptions{MaxBytes: -1}); outcome != "miss" || n != 0 {
			t.Errorf("a store that holds nothing: %s, %d entries", outcome, n)
		}
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		exact := g.Stats().Bytes
		if outcome, n := size(cache.MemoryOptions{MaxBytes: exact}); outcome != "hit" || n != 1 {
			t.Errorf("an entry exactly at the limit: %s, %d entries", outcome, n)
		}
		if outcome, n := size(cache.MemoryOptions{MaxBytes: exact - 1}); outcome != "miss" || n != 0 {
			t.Errorf("an entry over the limit: %s, %d entries", outcome, n)
		}
		one := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: 1})})
		for _, path := range []string{"a", "b", "a"} {
			have, _ := one.get("http://h/" + path)
			if have.Outcome != "miss" || one.Stats().Entries != 1 {
				t.Errorf("one entry: %v, %+v", have, one.Stats())
			}
		}
	})
}

func TestMemoryEvictsLeastRecentlyUsed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var evicted []string
		memory := cache.NewMemory(cache.MemoryOptions{MaxEntries: 2, Evicted: func(e *cache.Entry) { evicted = append(evicted, e.URL()) }})
		g := newRig(t, says("x", "Cache-Control: max-age=600"), cache.Options{Store: memory})
		g.get("http://h/a")
		sleepSecond()
		g.get("http://h/b")
		sleepSecond()
		g.get("http://h/a")
		g.get("http://h/c")
		have, _ := g.get("http://h/a")
		g.want(have, 200, "x", "hit", 3)
		have, _ = g.get("http://h/b")
		g.want(have, 200, "x", "miss", 4)
		if len(evicted) != 2 || evicted[0] != "http://h/b" {
			t.Errorf("evicted %v", evicted)
		}
	})
}

// What the entries are charged with is what they take, whatever their size: the heap is what the operating system sees.
func TestMemoryHeapStaysWithinTheLimit(t *testing.T) {
	for _, test := range []struct {
		limit     int64
		answers   int
		size      int
		atLeast   int64 // entries that must be there in the end
		atMostPct int64 // of the limit
	}{
		{64 << 20, 30_000, 10_000, 5500, 110},
		{8 << 20, 20_000, 100, 3500, 110},
		{16 << 20, 300, 300_000, 50, 110},
	} {
		if underRace {
			test.answers = max(test.answers*2/5, 300) // twice the limit, still
		}
		t.Run(fmt.Sprintf("%d answers of %d bytes under %d MiB", test.answers, test.size, test.limit>>20), func(t *testing.T) {
			c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: test.limit})})
			require.NoError(t, err)
			defer c.Close()
			body := strings.Repeat("x", test.size)
			rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
				return reply(200, body, "Cache-Control: max-age=60", "Content-Type: text/plain", `Etag: "a"`), nil
			}))
			before := heapInUse()
			for i := range test.answers {
				r, err := http.NewRequest("GET", fmt.Sprintf("http://h/%d", i), nil)
				require.NoError(t, err)
				resp, err := rt.RoundTrip(r)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
			}
			used := heapInUse() - before
			t.Logf("%d MB of heap for a limit of %d MB and %d entries", used/1e6, test.limit/1e6, c.Stats().Entries)
			if used > test.limit*test.atMostPct/100 {
				t.Errorf("%d bytes of heap for a limit of %d", used, test.limit)
			}
			if n := c.Stats().Entries; n < test.atLeast {
				t.Errorf("only %d entries", n)
			}
			runtime.KeepAlive(c)
		})
	}
}

// heapInUse is what is reachable.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one left in sync.Pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Small bodies with many fields cost more than their bytes, and are charged for it.
func TestMemoryChargesHeaderFields(t *testing.T) {
	const limit = 2 << 20
	fields := []string{"Cache-Control: max-age=60"}
	for i := range 22 {
		fields = append(fields, fmt.Sprintf("X-Field-%d: %d", i, i))
	}
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: limit})})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) { return reply(200, "x", fields...), nil }))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 3000 {
		r, _ := http.NewRequest("GET", fmt.Sprintf("http://h/%d", i), nil)
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		readAll(resp)
	}
	if used := heap() - before; used > limit*11/10 {
		t.Errorf("%d bytes of heap for a limit of %d", used, limit)
	}
	if c.Stats().Evicted == 0 {
		t.Error("the test does not press against the bound")
	}
	runtime.KeepAlive(c)
}

// An entry as large as the whole store takes the place of everything else.
func TestMemoryEntryAsLargeAsTheLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const limit = 2 << 20
		o := &origin{answer: func(r *http.Request) *http.Response {
			n, _ := strconv.Atoi(r.Header.Get("Size"))
			return reply(200, strings.Repeat("x", n), "Cache-Control: max-age=60")
		}}
		g := newRig(t, o, cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: limit})})
		g.get("http://h/filling", "Size: 1000000")
		overhead := g.Stats().Bytes - 1000000
		for i := range 200 {
			g.get(fmt.Sprintf("http://h/%d", i), "Size: 1000")
		}
		size := fmt.Sprintf("Size: %d", limit-overhead)
		g.do("DELETE", "http://h/filling")
		g.get("http://h/filling", size)
		have, _ := g.get("http://h/filling", size)
		if s := g.Stats(); have.Outcome != "hit" || s.Bytes != limit || s.Entries != 1 {
			t.Errorf("%s, %+v", have.Outcome, s)
		}
	})
}
