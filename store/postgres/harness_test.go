//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
)

// patient is for tests that are not about time: the machine may have other things to do.
const patient = 20 * time.Second

var schemas atomic.Int64

// newSchema returns the name of a schema that no other test uses.
func newSchema() string { return fmt.Sprintf("test-%d", schemas.Add(1)) }

// open returns a store in a schema of the test's own, unless the options name one.
func open(t testing.TB, url string, o postgres.Options) *postgres.Store {
	t.Helper()
	if o.Schema == "" {
		o.Schema = newSchema()
	}
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	s, err := postgres.Open(url, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// raw returns a connection for what other programs do.
func raw(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(ctx) })
	return c
}

func exec(t testing.TB, c *pgx.Conn, sql string, args ...any) int64 {
	t.Helper()
	tag, err := c.Exec(context.Background(), sql, args...)
	require.NoError(t, err)
	return tag.RowsAffected()
}

// value returns the first column of the first row.
func value[T any](t testing.TB, c *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, c.QueryRow(context.Background(), sql, args...).Scan(&v))
	return v
}

func put(t testing.TB, s store.Store, key, data string) store.Record {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, s.Delete(ctx, key, ""))
	require.NoError(t, s.Put(ctx, key, store.Record{Data: []byte(data), Kind: store.KindEntry}))
	return get(t, s, key)
}

func get(t testing.TB, s store.Store, key string) store.Record {
	t.Helper()
	r, err := s.Get(context.Background(), key)
	require.NoError(t, err)
	return r
}
