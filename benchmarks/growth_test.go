package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// endless answers every URL with 304 bytes and ten fields, and keeps none of them.
type endless struct {
	header http.Header
	body   []byte
}

func newEndless() *endless {
	header := http.Header{
		"Cache-Control": {"max-age=86400"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}, "Etag": {`"v1"`},
		"Content-Type": {"application/octet-stream"}, "Content-Length": {"304"},
	}
	for i := len(header); i < 10; i++ {
		header[fmt.Sprintf("X-Field-%d", i)] = []string{"one value of usual length"}
	}
	return &endless{header: header, body: bytes.Repeat([]byte("bytes of a body "), 19)}
}

func (o *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: o.header.Clone(),
		Body: io.NopCloser(bytes.NewReader(o.body)), ContentLength: int64(len(o.body)), Request: r,
	}, nil
}

// numberedRequest asks for one URL of many. It is used for one call after the other.
type numberedRequest struct{ *http.Request }

func newNumberedRequest(b *testing.B) numberedRequest {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://example.test/", nil)
	if err != nil {
		b.Fatal(err)
	}
	return numberedRequest{r}
}

// of returns the request for URL n. The URL is a new one: an entry may keep its strings.
func (r numberedRequest) of(n int) *http.Request {
	r.URL = &url.URL{Scheme: "http", Host: "example.test", Path: "/" + strconv.Itoa(n%10) + "/" + strconv.Itoa(n)}
	return r.Request
}

// BenchmarkManyURLs is a hit of one of many URLs, at random, beside the floor:
//
//	go test -run '^$' -bench ManyURLs -benchtime 400000x -count 5 ./benchmarks
//
// What counts here is how much memory a hit touches, and how much of it a garbage collection looks at.
func BenchmarkManyURLs(b *testing.B) {
	for _, n := range []int{1, 8192, 100_000} {
		for _, c := range []struct {
			name  string
			mount func(next http.RoundTripper) http.RoundTripper
		}{
			{floor.name, floorOver},
			{ply.name, func(next http.RoundTripper) http.RoundTripper {
				c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 30})})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { c.Close() })
				return c.Middleware(next)
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) {
				h, r := c.mount(newEndless()), newNumberedRequest(b)
				for i := range n {
					get(b, h, r.of(i), 304)
				}
				runtime.GC()
				b.ReportAllocs()
				before := processorTime(b)
				for b.Loop() {
					get(b, h, r.of(rand.IntN(n)), 304)
				}
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkGrowth says how the cost of each operation grows with the number of entries. The cache of a size is filled once, and each operation has it full:
//
//	go test -run '^$' -bench Growth -benchtime 200ms -cpu 1,2 ./benchmarks
//
// A miss stores, and evicts one entry. A purge that removes nothing has looked at everything. A million entries take 1.5 GB.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5, 1e6} {
		b.Run(fmt.Sprintf("%d entries", n), func(b *testing.B) {
			c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: n, MaxBytes: 8 << 30})})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			h, r := c.Middleware(newEndless()), newNumberedRequest(b)
			for i := range n {
				get(b, h, r.of(i), 304)
			}
			benchmarkGrown(b, c, h, n)
			b.Run("garbage collection", func(b *testing.B) {
				for b.Loop() {
					runtime.GC()
				}
			})
			var took time.Duration // of the first call, the only one that has something to remove: a benchmark runs more than once
			b.Run("Clear", func(b *testing.B) {
				began := time.Now()
				if err := c.Clear(b.Context()); err != nil {
					b.Fatal(err)
				}
				if took == 0 {
					took = time.Since(began)
				}
				b.ReportMetric(float64(took), "ns/Clear")
				if c.Stats().Entries != 0 {
					b.Error("entries are left")
				}
			})
		})
	}
}

// benchmarkGrown measures what leaves the number of entries as it is.
func benchmarkGrown(b *testing.B, c *cache.Cache, h http.RoundTripper, n int) {
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := newNumberedRequest(b)
			for pb.Next() {
				get(b, h, r.of(rand.IntN(n)), 304)
			}
		})
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := newNumberedRequest(b)
			for next := 1<<40 + rand.IntN(1<<40); pb.Next(); next++ {
				get(b, h, r.of(next), 304)
			}
		})
	})
	for name, purge := range map[string]func(context.Context) error{
		"DeleteURL": func(ctx context.Context) error { return c.DeleteURL(ctx, "http://example.test/0/0") },
		"DeletePattern": func(ctx context.Context) error {
			_, err := c.DeletePattern(ctx, "example.test/none/*")
			return err
		},
		"DeleteExpired": func(ctx context.Context) error {
			_, err := c.DeleteExpired(ctx)
			return err
		},
		"DeleteTag": func(ctx context.Context) error { return c.DeleteTag(ctx, "none") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := purge(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
