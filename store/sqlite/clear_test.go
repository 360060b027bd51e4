package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// Clear changes the schema for a moment. Stores that have the file open, with statements that they have prepared, go on, and so do those that open it later.
func TestClearIsSeenByAllWhoHaveTheFileOpen(t *testing.T) {
	path := file(t)
	a, b := open(t, path, sqlite.Options{}), open(t, path, sqlite.Options{})
	for i := range 20 {
		put(t, b, fmt.Sprint("k-", i), store.Record{Data: proof("k", i, 3000), Owner: "k-0", Kind: store.KindBody})
	}
	require.NoError(t, b.Delete(t.Context(), "k-0", "")) // its parts are doomed
	require.NoError(t, a.Clear(t.Context()))
	records, err := b.GetMulti(t.Context(), []string{"k-1", "k-2"})
	require.NoError(t, err)
	require.Equal(t, []store.Record{{}, {}}, records)
	for _, s := range []*sqlite.Store{a, b, open(t, path, sqlite.Options{OnReset: func(err error) { t.Errorf("the file was emptied: %v", err) }})} {
		put(t, s, "k-1", store.Record{Data: []byte("x"), Owner: "k-0"})
		put(t, s, "k-2", store.Record{Data: []byte("x")})
		require.NoError(t, s.Delete(t.Context(), "k-2", ""))
		n, _, err := s.Size(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		sound(t, path)
		require.NoError(t, s.Clear(t.Context()))
		n, bytes, err := s.Size(t.Context())
		require.NoError(t, err)
		require.Zero(t, n+bytes)
	}
}

// Clear looks at no row: what it writes is a small part of what is in the file.
func TestClearWritesLittle(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{Sync: sqlite.SyncOff})
	for i := range 1500 {
		put(t, s, fmt.Sprint("k-", i), store.Record{Data: proof("k", i, 1000), Expires: time.Now().Add(time.Hour), Kind: store.KindEntry})
	}
	_, err := raw(t, path).Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(t, err)
	sizes := func() (db, log int64) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if l, err := os.Stat(path + "-wal"); err == nil {
			log = l.Size()
		}
		return info.Size(), log
	}
	db, before := sizes()
	require.NoError(t, s.Clear(t.Context()))
	if _, log := sizes(); log-before > db/4 {
		t.Errorf("%d bytes were written to clear a file of %d", log-before, db)
	}
}

// What people have added to the tables stays.
func TestClearKeepsWhatPeopleHaveAdded(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	db := raw(t, path)
	_, err := db.Exec("CREATE TABLE gone (key TEXT); CREATE TRIGGER mine AFTER DELETE ON records BEGIN INSERT INTO gone VALUES (old.key); END")
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, s.Clear(t.Context()))
	var key string
	require.NoError(t, db.QueryRow("SELECT key FROM gone").Scan(&key))
	require.Equal(t, "k", key)
	sound(t, path)
}

// What is put while others clear is there whole or not at all, and the totals are right.
func TestClearWhileOthersWrite(t *testing.T) {
	path := file(t)
	stores := []*sqlite.Store{open(t, path, sqlite.Options{Sync: sqlite.SyncOff}), open(t, path, sqlite.Options{Sync: sqlite.SyncOff})}
	var all sync.WaitGroup
	for n, s := range stores {
		all.Go(func() {
			for i := range 200 {
				key := fmt.Sprintf("k-%d-%d", n, i%7)
				r, err := s.Get(t.Context(), key)
				if err == nil {
					err = s.Put(t.Context(), key, store.Record{Data: proof(key, i, 2000), Version: r.Version})
				}
				if err != nil && !errors.Is(err, store.ErrConflict) { // it was cleared in between
					t.Error(err)
				}
				if i%20 == 10 {
					if err := s.Clear(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	sound(t, path)
}
