package file

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/plyhttp/ply/store"
)

func Benchmark(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		data := bytes.Repeat([]byte("x"), size)
		name := fmt.Sprintf("%dKiB", size>>10)
		b.Run("Get/"+name, func(b *testing.B) {
			s := openIn(b, b.TempDir(), Options{})
			mustPut(b, s, "k", store.Record{Data: data})
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if r, err := s.Get(b.Context(), "k"); err != nil || len(r.Data) != size {
					b.Fatal(err)
				}
			}
		})
		b.Run("Put/"+name, func(b *testing.B) {
			s := openIn(b, b.TempDir(), Options{MaxBytes: 64 << 20})
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if err := s.Put(b.Context(), fmt.Sprint(i), store.Record{Data: data}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Get/absent", func(b *testing.B) {
		s := openIn(b, b.TempDir(), Options{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
