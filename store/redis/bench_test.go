//go:build unix

package redis_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
)

const piece = 256 << 10 // as the cache cuts bodies

var sizes = []struct {
	name   string
	bytes  int
	pieces int
}{{"1KiB", 1 << 10, 1}, {"64KiB", 64 << 10, 1}, {"256KiB", piece, 1}, {"1MiB", piece, 4}, {"16MiB", piece, 64}}

func BenchmarkGet(b *testing.B) {
	s := open(b, server.Start(b).Addr, redis.Options{Timeout: time.Minute})
	for _, size := range sizes {
		keys := make([]string, size.pieces)
		for i := range keys {
			keys[i] = fmt.Sprintf("%s.%d", size.name, i)
			require.NoError(b, s.Put(b.Context(), keys[i], store.Record{Data: body(keys[i], 1, size.bytes)}))
		}
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(size.bytes * size.pieces))
			b.ReportAllocs()
			for b.Loop() {
				if len(keys) == 1 {
					if r, err := s.Get(b.Context(), keys[0]); err != nil || r.Version == "" {
						b.Fatal(r, err)
					}
					continue
				}
				if records, err := s.GetMulti(b.Context(), keys); err != nil || records[0].Version == "" {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("1KiB/parallel", func(b *testing.B) {
		b.SetParallelism(16)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if r, err := s.Get(b.Context(), "1KiB.0"); err != nil || r.Version == "" {
					b.Error(r, err)
					return
				}
			}
		})
	})
}

func BenchmarkPut(b *testing.B) {
	s := open(b, server.Start(b, "--maxmemory-policy", "allkeys-lru").Addr, redis.Options{Timeout: time.Minute})
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			data := body("k", 1, size.bytes)
			b.SetBytes(int64(size.bytes * size.pieces))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for range size.pieces {
					n++
					if err := s.Put(b.Context(), fmt.Sprintf("%s.%d", size.name, n), store.Record{Data: data, Expires: time.Now().Add(time.Hour)}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkHit is a request that the cache answers, with everything in Redis, and with a copy in L1.
func BenchmarkHit(b *testing.B) {
	srv := server.Start(b, "--maxmemory-policy", "allkeys-lru")
	o := &origin{}
	for _, tiers := range []struct {
		name  string
		start func() *process
	}{
		{"redis", func() *process {
			return startProcess(b, srv.Addr, o, cache.Options{MaxEntryBytes: 32 << 20, StoreTimeout: time.Minute})
		}},
		{"tiered", func() *process { return startTiered(b, srv.Addr, o) }},
	} {
		for _, size := range []int{1 << 10, 64 << 10, 1 << 20, 4 << 20} {
			p := tiers.start()
			path := fmt.Sprintf("/bench/%s/%d", tiers.name, size)
			p.stores(b, path)
			p.hits(b, path)
			b.Run(fmt.Sprintf("%s/%dKiB", tiers.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					resp, err := p.client.Get("http://example.test" + path)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, resp.Body); n != int64(size) || err != nil {
						b.Fatal(n, err)
					}
					resp.Body.Close()
				}
				b.StopTimer()
				if s, a := p.cache.Stats(), o.asked.Load(); a == 0 || s.Hits == 0 {
					b.Fatal(s)
				}
			})
		}
	}
}
