package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/sqlite"
)

// BenchmarkMaintenance says what the calls cost that look at all of 20,000 entries of 1 KiB, and find nothing to delete, but for Clear:
//
//	go test -run '^$' -bench Maintenance -benchtime 3x ./benchmarks/stores
//
// Open is of a store that was closed in order, and is done again for each count.
func BenchmarkMaintenance(b *testing.B) {
	const entries = 20_000
	type closer interface {
		store.Store
		io.Closer
	}
	for name, open := range map[string]func(dir string) (closer, error){
		"file": func(dir string) (closer, error) { return file.Open(dir, file.Options{MaxBytes: room}) },
		"sqlite": func(dir string) (closer, error) {
			return sqlite.Open(filepath.Join(dir, "cache.db"), sqlite.Options{MaxBytes: room})
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s, err := open(dir)
			if err != nil {
				b.Fatal(err)
			}
			u, err := newUser(kind{name, func() (opened, error) { return opened{s, s.Close}, nil }}, KiB)
			if err != nil {
				b.Fatal(err)
			}
			for i := range entries {
				if err := errors.Join(u.wants(b.Context(), fmt.Sprint("/fresh/", i), "miss"), u.settled(b.Context())); err != nil {
					b.Fatal(err)
				}
			}
			if err := u.close(); err != nil {
				b.Fatal(err)
			}
			b.Run("Open", func(b *testing.B) {
				for b.Loop() {
					s, err := open(dir)
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
			if s, err = open(dir); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c, err := cache.New(cache.Options{Store: s, StoreTimeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			b.Run("DeleteExpired", func(b *testing.B) {
				for b.Loop() {
					if n, err := c.DeleteExpired(b.Context()); n != 0 || err != nil {
						b.Fatal(n, err)
					}
				}
			})
			b.Run("DeletePattern", func(b *testing.B) {
				for b.Loop() {
					if n, err := c.DeletePattern(b.Context(), "origin.test/none/*"); n != 0 || err != nil {
						b.Fatal(n, err)
					}
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
				for range c.Entries(b.Context()) {
					b.Fatal("an entry is left")
				}
			})
		})
	}
}
