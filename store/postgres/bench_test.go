//go:build unix

package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

const kib = 1 << 10

// BenchmarkHit is a request that the cache answers, BenchmarkMiss one that is stored, and BenchmarkDriver what pgx takes to read as much by itself.
func BenchmarkHit(b *testing.B) {
	srv := server.Shared(b)
	p := startProcess(b, open(b, srv.URL(), postgres.Options{}), &origin{}, cache.Options{StoreTimeout: time.Minute})
	for _, size := range []int{kib, 256 * kib} {
		path := fmt.Sprintf("/hit/%d", size)
		p.hits(b, path)
		b.Run(fmt.Sprintf("%dKiB", size/kib), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !p.get(b, path) {
					b.Fatal("no hit")
				}
			}
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	srv := server.Shared(b)
	for _, logged := range []bool{false, true} {
		p := startProcess(b, open(b, srv.URL(), postgres.Options{Logged: logged}), &origin{}, cache.Options{StoreTimeout: time.Minute})
		b.Run(fmt.Sprintf("logged=%v", logged), func(b *testing.B) {
			stored := p.cache.Stats().Stored
			for b.Loop() {
				p.get(b, fmt.Sprintf("/miss/%d/%d", time.Now().UnixNano(), kib))
				for stored++; p.cache.Stats().Stored < stored; {
					<-time.After(10 * time.Microsecond)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, server.Shared(b).URL(), postgres.Options{})
	for _, size := range []int{kib, 256 * kib} {
		b.Run(fmt.Sprintf("%dKiB", size/kib), func(b *testing.B) {
			put(b, s, "k", string(body("k", 1, size)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := s.Get(b.Context(), "k"); err != nil || r.Version == "" {
					b.Fatal(r, err)
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{kib, 256 * kib} {
		b.Run(fmt.Sprintf("%dKiB", size/kib), func(b *testing.B) {
			s := open(b, server.Shared(b).URL(), postgres.Options{MaxBytes: 64 << 20}) // which is soon full
			put(b, s, "k", "v")                                                        // makes the table
			data, n := body("k", 1, size), 0
			for b.Loop() {
				n++
				if err := s.Put(b.Context(), fmt.Sprint("k-", n), store.Record{Data: data, Expires: time.Now().Add(time.Hour)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDriver(b *testing.B) {
	srv := server.Shared(b)
	pool, err := pgxpool.New(b.Context(), srv.URL())
	require.NoError(b, err)
	defer pool.Close()
	_, err = pool.Exec(b.Context(), "CREATE UNLOGGED TABLE IF NOT EXISTS bare (key text PRIMARY KEY, data bytea); ALTER TABLE bare ALTER COLUMN data SET STORAGE EXTERNAL")
	require.NoError(b, err)
	for _, size := range []int{kib, 256 * kib} {
		data, n := body("k", 1, size), 0
		_, err := pool.Exec(b.Context(), "INSERT INTO bare VALUES ('k', $1) ON CONFLICT (key) DO UPDATE SET data = $1", data)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("SELECT/%dKiB", size/kib), func(b *testing.B) {
			for b.Loop() {
				var got []byte
				if err := pool.QueryRow(b.Context(), "SELECT data FROM bare WHERE key = $1", "k").Scan(&got); err != nil || len(got) != len(data) {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("INSERT/%dKiB", size/kib), func(b *testing.B) {
			for b.Loop() {
				n++
				if _, err := pool.Exec(b.Context(), "INSERT INTO bare VALUES ($1, $2)", fmt.Sprint(size, "-", time.Now().UnixNano(), "-", n), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
