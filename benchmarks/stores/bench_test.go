package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"
)

// BenchmarkHit is a request for 1 KiB that the cache answers, from each store.
func BenchmarkHit(b *testing.B) {
	k := start(b)
	for _, kind := range k.all {
		b.Run(kind.name, func(b *testing.B) {
			u := warmed(b, kind)
			b.ReportAllocs()
			for b.Loop() {
				if err := u.wants(b.Context(), "/fresh/hit", "hit"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDriver reads 1 KiB as each store would without a cache: one file, one row, one string.
func BenchmarkDriver(b *testing.B) {
	data := filler[:KiB]
	dir := b.TempDir()
	b.Run("file", func(b *testing.B) {
		name := filepath.Join(dir, "record")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			b.Fatal(err)
		}
		measured(b, func() (int, error) {
			got, err := os.ReadFile(name)
			return len(got), err
		})
	})
	b.Run("sqlite", func(b *testing.B) {
		db, err := sql.Open("sqlite", filepath.Join(dir, "record.db"))
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("PRAGMA journal_mode = WAL; CREATE TABLE records (key TEXT PRIMARY KEY, bytes BLOB); INSERT INTO records VALUES ('key', ?)", data); err != nil {
			b.Fatal(err)
		}
		read, err := db.Prepare("SELECT bytes FROM records WHERE key = ?")
		if err != nil {
			b.Fatal(err)
		}
		defer read.Close()
		measured(b, func() (int, error) {
			var got []byte
			err := read.QueryRowContext(context.Background(), "key").Scan(&got)
			return len(got), err
		})
	})
	b.Run("redis", func(b *testing.B) {
		k := start(b)
		if k.server == nil {
			b.Skip(k.absent["redis"])
		}
		o, err := goredis.ParseURL(k.server.url)
		if err != nil {
			b.Fatal(err)
		}
		client := goredis.NewClient(o)
		defer client.Close()
		if err := client.Set(b.Context(), "key", data, 0).Err(); err != nil {
			b.Fatal(err)
		}
		measured(b, func() (int, error) {
			got, err := client.Get(b.Context(), "key").Bytes()
			return len(got), err
		})
	})
}

// measured reads 1 KiB again and again.
func measured(b *testing.B, read func() (int, error)) {
	b.ReportAllocs()
	for b.Loop() {
		if n, err := read(); err != nil || n != int(KiB) {
			b.Fatal(n, err)
		}
	}
}

// warmed is a user whose store has the response at /fresh/hit.
func warmed(tb testing.TB, k kind) *user {
	tb.Helper()
	u, err := newUser(k, KiB)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := u.close(); err != nil {
			tb.Error(err)
		}
	})
	ctx := tb.Context()
	for _, err := range []error{u.wants(ctx, "/fresh/hit", "miss"), u.settled(ctx), u.wants(ctx, "/fresh/hit", "hit")} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return u
}
