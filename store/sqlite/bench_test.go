package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

var benchSizes = []struct {
	name  string
	bytes int
}{{"1KiB", 1 << 10}, {"16KiB", 16 << 10}, {"256KiB", 256 << 10}, {"1MiB", 1 << 20}, {"16MiB", 16 << 20}}

func random(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

func BenchmarkGet(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			s := open(b, file(b), sqlite.Options{})
			require.NoError(b, s.Put(b.Context(), "key", store.Record{Data: random(size.bytes), Kind: store.KindEntry}))
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := s.Get(b.Context(), "key"); err != nil || len(r.Data) != size.bytes {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetParallel(b *testing.B) {
	s := open(b, file(b), sqlite.Options{})
	for i := range 1000 {
		require.NoError(b, s.Put(b.Context(), fmt.Sprint("key-", i), store.Record{Data: random(1 << 10), Kind: store.KindEntry}))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if r, err := s.Get(b.Context(), fmt.Sprint("key-", i%1000)); err != nil || len(r.Data) == 0 {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGetAbsent(b *testing.B) {
	s := open(b, file(b), sqlite.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "absent"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut puts records under new keys, into a store that is full soon.
func BenchmarkPut(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			path := file(b)
			s := open(b, path, sqlite.Options{MaxBytes: 64 << 20, Sync: benchSync()})
			data := random(size.bytes)
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				if err := s.Put(b.Context(), fmt.Sprint("key-", n), store.Record{Data: data, Kind: store.KindEntry}); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			_, held, err := s.Size(b.Context())
			require.NoError(b, err)
			info, err := os.Stat(path)
			require.NoError(b, err)
			b.ReportMetric(float64(info.Size())/float64(held), "file/charged")
		})
	}
}

func BenchmarkReplace(b *testing.B) {
	s := open(b, file(b), sqlite.Options{})
	data := random(1 << 10)
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Get(b.Context(), "key")
		if err == nil {
			err = s.Put(b.Context(), "key", store.Record{Data: data, Kind: store.KindEntry, Version: r.Version})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchSync() sqlite.Sync {
	if os.Getenv("SYNCOFF") != "" {
		return sqlite.SyncOff
	}
	return sqlite.SyncNormal
}

func BenchmarkOpen(b *testing.B) {
	path := file(b)
	open(b, path, sqlite.Options{})
	for b.Loop() {
		s, err := sqlite.Open(path, sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
