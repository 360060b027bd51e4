package cache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// counting is a cache before an origin whose bodies are as long as the path says: "/3000/x" has 3000 bytes.
type counting struct {
	*testing.T
	*cache.Cache
	rt http.RoundTripper
}

func newCounting(t *testing.T, o cache.MemoryOptions) *counting {
	t.Helper()
	c, err := cache.New(cache.Options{Store: cache.NewMemory(o)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &counting{t, c, c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d/", &n)
		return reply(200, strings.Repeat("x", n), "Cache-Control: max-age=600"), nil
	}))}
}

// has gets a path, and reports whether it was in the store.
func (c *counting) has(path string) bool {
	r, err := http.NewRequest("GET", "http://h"+path, nil)
	if err != nil {
		c.Error(err)
		return false
	}
	resp, err := c.rt.RoundTrip(r)
	if err != nil {
		c.Error(err)
		return false
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	s, _ := cache.StatusOf(resp)
	return s.Hit
}

// hot counts which of n paths are in the store.
func (c *counting) hot(n, size int) int {
	there := 0
	for i := range n {
		if c.has(fmt.Sprintf("/%d/hot%d", size, i)) {
			there++
		}
	}
	return there
}

// What is asked for again and again is still there after a walk through many more other URLs than fit.
func TestEvictionScanKeepsTheHotSet(t *testing.T) {
	for name, o := range map[string]cache.MemoryOptions{
		"bounded by entries": {MaxEntries: 2000},
		"bounded by bytes":   {MaxBytes: 8 << 20},
		"one shard":          {MaxEntries: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounting(t, o)
			const hot, size = 400, 1000
			for range 4 {
				c.hot(hot, size)
				for i := range 50 { // now and then something else
					c.has(fmt.Sprintf("/%d/warm%d", size, i))
				}
			}
			for i := range 4000 {
				c.has(fmt.Sprintf("/%d/scan%d", size, i))
			}
			if got := c.hot(hot, size); got < hot*9/10 {
				t.Errorf("%d of %d are left after the scan", got, hot)
			}
		})
	}
}

// A few large bodies take room from all of the store, not from the one part of it that they belong to.
func TestEvictionLargeBodySparesItsShard(t *testing.T) {
	c := newCounting(t, cache.MemoryOptions{MaxBytes: 16 << 20})
	const hot, size = 1000, 2000 // about a quarter of the room
	for range 3 {
		c.hot(hot, size)
	}
	for i := range 40 {
		c.has(fmt.Sprintf("/%d/large%d", 3<<20, i))
	}
	if got := c.hot(hot, size); got < hot*9/10 {
		t.Errorf("%d of %d are left", got, hot)
	}
	if s := c.Stats(); s.Bytes > 16<<20 {
		t.Errorf("%d bytes", s.Bytes)
	}
}

// What was hot once makes room for what is hot now.
func TestEvictionFollowsANewHotSet(t *testing.T) {
	c := newCounting(t, cache.MemoryOptions{MaxEntries: 500})
	for range 5 {
		c.hot(450, 10)
	}
	there := 0
	for range 6 {
		there = 0
		for i := range 400 {
			if c.has(fmt.Sprintf("/10/new%d", i)) {
				there++
			}
		}
	}
	if there < 360 {
		t.Errorf("%d of 400 are there", there)
	}
}

// Bodies of all sizes, among them some that fill the store by themselves, from many goroutines, with invalidations between:
// the bounds hold at every moment, and what is counted is what is there.
func TestEvictionKeepsExactBoundsForAllBodySizes(t *testing.T) {
	const maxBytes, maxEntries = 2 << 20, 1100
	var mu sync.Mutex
	evicted := 0
	c := newCounting(t, cache.MemoryOptions{MaxBytes: maxBytes, MaxEntries: maxEntries, Evicted: func(*cache.Entry) {
		mu.Lock()
		defer mu.Unlock()
		evicted++
	}})
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 500 {
				size := 10 + i*worker%700
				switch {
				case i%101 == 0:
					size = maxBytes - 3000 // nearly all of the room
				case i%37 == 0:
					size = maxBytes/3 + i
				}
				c.has(fmt.Sprintf("/%d/%d", size, i%400))
				if i%50 == 0 {
					c.DeleteURL(t.Context(), fmt.Sprintf("http://h/%d/%d", size, i%400))
				}
				if s := c.Stats(); s.Bytes > maxBytes || s.Entries > maxEntries || s.Bytes < 0 || s.Entries < 0 {
					t.Errorf("%d bytes, %d entries", s.Bytes, s.Entries)
					return
				}
			}
		})
	}
	wg.Wait()
	if evicted == 0 {
		t.Error("no function was told of what had to go")
	}
	var entries, bytes int64
	for e := range c.Entries(t.Context()) {
		entries++
		bytes += e.Size()
	}
	s := c.Stats()
	if entries != s.Entries || bytes > s.Bytes || s.Bytes-bytes > 2000*entries {
		t.Errorf("%d entries of %d bytes, counted are %d of %d", entries, bytes, s.Entries, s.Bytes)
	}
	require.NoError(t, c.Clear(t.Context()))
	if s := c.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("after Clear: %d bytes, %d entries", s.Bytes, s.Entries)
	}
}

func TestEvictionWithRoomForNoneOrOne(t *testing.T) {
	for _, test := range []struct {
		name    string
		memory  cache.MemoryOptions
		entries int64
		hits    []bool // of a, a, b, b, a
	}{
		{"nothing", cache.MemoryOptions{MaxBytes: -1}, 0, []bool{false, false, false, false, false}},
		{"less than one entry", cache.MemoryOptions{MaxBytes: 100}, 0, []bool{false, false, false, false, false}},
		{"one entry", cache.MemoryOptions{MaxEntries: 1}, 1, []bool{false, true, false, true, false}},
		{"two entries", cache.MemoryOptions{MaxEntries: 2}, 2, []bool{false, true, false, true, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCounting(t, test.memory)
			for i, path := range []string{"/10/a", "/10/a", "/10/b", "/10/b", "/10/a"} {
				if got := c.has(path); got != test.hits[i] {
					t.Errorf("request %d: hit %v, want %v", i, got, test.hits[i])
				}
			}
			if s := c.Stats(); s.Entries != test.entries || s.StoreErrors != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
