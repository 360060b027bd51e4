//go:build unix

package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
