package sqlite

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/plyhttp/ply/store"
)

// countMemory has SQLite count its memory until the end of the test: without that, no limit holds. No connection may be open.
func countMemory(t *testing.T) *libc.TLS {
	t.Helper()
	tls := libc.NewTLS()
	set := func(on int32) {
		require.Zero(t, sqlite3.Xsqlite3_shutdown(tls))
		list := libc.NewVaList(on)
		defer libc.Xfree(tls, list)
		require.Zero(t, sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_MEMSTATUS, list))
		require.Zero(t, sqlite3.Xsqlite3_initialize(tls))
	}
	set(1)
	t.Cleanup(func() {
		set(0)
		tls.Close()
	})
	return tls
}

// A record that SQLite has no memory for is an error. It is not taken for a damaged one, which would be removed.
func TestReadWithoutMemoryIsAnErrorAndCostsNoRecord(t *testing.T) {
	tls := countMemory(t)
	s, err := Open(filepath.Join(t.TempDir(), "cache.db"), Options{})
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "k", store.Record{Data: []byte("x"), Kind: store.KindEntry}))

	// SQLite makes the bytes of zeroblob when they are asked for, after the step. So it is with a text that is converted.
	const bytes = 8 << 20
	reader, err := s.db.reader()
	require.NoError(t, err)
	lookup, err := reader.lookupAt(0)
	require.NoError(t, err)
	lookup.prepared.close()
	lookup.prepared, err = reader.prepare(strings.Replace(lookupSQL, "d.bytes", fmt.Sprintf("zeroblob(%d * r.kind)", bytes), 1))
	require.NoError(t, err)
	for range cap(s.db.readers) {
		<-s.db.readers
	}
	s.db.readers <- reader

	sqlite3.Xsqlite3_hard_heap_limit64(tls, sqlite3.Xsqlite3_memory_used(tls)+bytes/2)
	r, err := s.Get(ctx, "k")
	sqlite3.Xsqlite3_hard_heap_limit64(tls, 0)
	if code(err) != sqlite3.SQLITE_NOMEM || r.Version != "" {
		t.Errorf("version %q, %v, want SQLite's error alone", r.Version, err)
	}

	lookup.prepared.close()
	lookup.prepared, err = reader.prepare(lookupSQL)
	require.NoError(t, err)
	r, err = s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "x", string(r.Data))
	for range cap(s.db.readers) - 1 {
		s.db.readers <- nil
	}
}

// SQLite counts bytes in 32 bits. A length that does not fit would be that of another text, or none.
func TestLengthThatSQLiteCannotCountIsRefused(t *testing.T) {
	for n, fits := range map[int]bool{0: true, 128: true, maxRecord: true, sqlite3.SQLITE_MAX_LENGTH: true, sqlite3.SQLITE_MAX_LENGTH + 1: false, math.MaxInt: false} {
		got, err := boundLength(n)
		if fits != (err == nil) || fits && int(got) != n {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
}

// No call takes a key that is longer than a lookup has room for, and none finds another record by its beginning.
func TestKeysThatAreTooLongAreNotThere(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "cache.db"), Options{})
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()
	longest := strings.Repeat("k", maxKey)
	require.NoError(t, s.Put(ctx, longest, store.Record{Data: []byte("x")}))
	for _, n := range []int{maxKey + 1, 100_000} {
		key := strings.Repeat("k", n)
		require.ErrorContains(t, s.Put(ctx, key, store.Record{Data: []byte("y")}), "is not 1 to 128")
		r, err := s.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, store.Record{}, r)
		records, err := s.GetMulti(ctx, []string{longest, key, longest})
		require.NoError(t, err)
		require.Equal(t, "x", string(records[0].Data))
		require.Equal(t, store.Record{}, records[1])
		require.Equal(t, "x", string(records[2].Data))
		require.NoError(t, s.Delete(ctx, key, ""))
		require.NoError(t, s.Delete(ctx, key, records[0].Version))
	}
	r, err := s.Get(ctx, longest)
	require.NoError(t, err)
	require.Equal(t, "x", string(r.Data))
}
