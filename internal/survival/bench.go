//go:build unix

package survival

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// Benchmark measures a hit of a cache over the store at a URL, and a miss until it is stored, for bodies of 1 KiB and 256 KiB, and the store's Get and Put of 1 KiB alone.
func Benchmark(b *testing.B, url string) {
	c := Trial{URL: func(string) string { return url }, StoreTimeout: time.Minute}.client(b, "")
	for _, size := range []int{1 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("hit/%dKiB", size>>10), func(b *testing.B) {
			path := fmt.Sprintf("/hit/%d", size)
			c.tb = b
			c.hits(path)
			b.ReportAllocs()
			for b.Loop() {
				if s := c.fetch(b, path); !s.Hit {
					b.Fatal(s)
				}
			}
		})
		b.Run(fmt.Sprintf("stored miss/%dKiB", size>>10), func(b *testing.B) {
			stored := c.cache.Stats().Stored
			n := 0
			for b.Loop() {
				n++
				c.fetch(b, fmt.Sprintf("/miss/%d/%d/%d", n, time.Now().UnixNano(), size))
				for stored++; c.cache.Stats().Stored < stored; {
					wait(20 * time.Microsecond)
				}
			}
		})
	}
	s, err := store.OpenURL(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := body("bench", 1, 1<<10)
	b.Run("Put", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			if err := s.Put(b.Context(), fmt.Sprintf("bench-%d-%d", n, time.Now().UnixNano()), store.Record{Data: data}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Get", func(b *testing.B) {
		if err := s.Put(b.Context(), "bench", store.Record{Data: data}); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if r, err := s.Get(b.Context(), "bench"); err != nil || r.Version == "" {
				b.Fatal(r, err)
			}
		}
	})
}

func (c *client) fetch(b *testing.B, path string) cache.Status {
	resp, err := c.Get("http://example.test" + path)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	s, _ := cache.StatusOf(resp)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	return s
}
