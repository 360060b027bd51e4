package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// While another connection holds the write lock, reads go on, and a write waits as long as its context lasts.
func TestLockedFileIsReadAndWritesWait(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	put(t, s, "k", store.Record{Data: []byte("x")})
	old, err := s.Get(t.Context(), "k")
	require.NoError(t, err)

	db := raw(t, path)
	_, err = db.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)
	for what, call := range map[string]func(ctx context.Context) error{
		"put":            func(ctx context.Context) error { return s.Put(ctx, "l", store.Record{Data: []byte("x")}) },
		"delete":         func(ctx context.Context) error { return s.Delete(ctx, "k", old.Version) },
		"clear":          s.Clear,
		"delete expired": func(ctx context.Context) error { _, err := s.DeleteExpired(ctx, time.Now()); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		err := call(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "is locked") {
			t.Errorf("%s: %v, want the deadline", what, err)
		}
		if !has(t, s, "k") {
			t.Errorf("%s: k is gone", what)
		}
	}
	waiting := make(chan error)
	go func() { waiting <- s.Put(t.Context(), "l", store.Record{Data: []byte("x")}) }()
	<-time.After(20 * time.Millisecond)
	_, err = db.Exec("COMMIT")
	require.NoError(t, err)
	if err := <-waiting; err != nil {
		t.Errorf("a Put that waited: %v", err)
	}
}

// A statement that fails, the first of a change or a later one, undoes the whole change: the call returns the error, and the records are what they were.
func TestChangeWhoseStatementFailsIsAnErrorAndUndone(t *testing.T) {
	for _, c := range []struct{ fails, call string }{
		{"BEFORE INSERT ON records", "create"},
		{"BEFORE INSERT ON data", "create"},
		{"BEFORE UPDATE ON records", "replace"},
		{"AFTER UPDATE ON data", "replace"},
		{"BEFORE DELETE ON records", "delete"},
		{"BEFORE INSERT ON doomed", "delete"},
		{"BEFORE DELETE ON records", "clear"},
		{"BEFORE DELETE ON records", "delete expired"},
	} {
		t.Run(c.call+" "+c.fails, func(t *testing.T) {
			path := file(t)
			s := open(t, path, sqlite.Options{OnReset: func(err error) { t.Errorf("reset: %v", err) }})
			put(t, s, "k", store.Record{Data: proof("k", 1, 5000), Kind: store.KindEntry, Expires: time.Now().Add(time.Hour)})
			put(t, s, "part", store.Record{Data: proof("part", 1, 5000), Kind: store.KindBody, Owner: "k", Expires: time.Now().Add(time.Hour)})
			before, err := s.GetMulti(t.Context(), []string{"k", "part", "new"})
			require.NoError(t, err)
			db := raw(t, path)
			_, err = db.Exec("CREATE TRIGGER fault " + c.fails + " BEGIN SELECT RAISE(ABORT, 'injected'); END")
			require.NoError(t, err)
			ctx := t.Context()
			err = map[string]func() error{
				"create": func() error { return s.Put(ctx, "new", store.Record{Data: proof("new", 1, 5000)}) },
				"replace": func() error {
					return s.Put(ctx, "k", store.Record{Data: proof("k", 2, 100), Version: before[0].Version})
				},
				"delete":         func() error { return s.Delete(ctx, "k", before[0].Version) },
				"clear":          func() error { return s.Clear(ctx) },
				"delete expired": func() error { _, err := s.DeleteExpired(ctx, time.Now().Add(2*time.Hour)); return err },
			}[c.call]()
			if err == nil || !strings.HasPrefix(err.Error(), "sqlite: ") || !strings.Contains(err.Error(), "injected") {
				t.Errorf("%v, want the error of the statement", err)
			}
			_, err = db.Exec("DROP TRIGGER fault")
			require.NoError(t, err)
			after, err := s.GetMulti(ctx, []string{"k", "part", "new"})
			require.NoError(t, err)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the records have changed (-before +after):\n%s", diff)
			}
			sound(t, path)
			put(t, s, "k", store.Record{Data: proof("k", 3, 100)})
		})
	}
}

// A read that fails returns the error and no record. It is no reason to take the record for absent, and costs none.
func TestReadThatFailsIsAnErrorAndNoMiss(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{OnReset: func(err error) { t.Errorf("reset: %v", err) }})
	put(t, s, "k", store.Record{Data: proof("k", 1, 5000), Kind: store.KindEntry})
	before, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	db, ctx := raw(t, path), t.Context()
	_, err = db.Exec("ALTER TABLE data RENAME COLUMN bytes TO others")
	require.NoError(t, err)
	r, err := s.Get(ctx, "k")
	if err == nil || r.Version != "" || r.Data != nil {
		t.Errorf("Get: version %q, %v, want an error alone", r.Version, err)
	}
	if records, err := s.GetMulti(ctx, []string{"k"}); err == nil || records != nil {
		t.Errorf("GetMulti: %d records, %v, want an error alone", len(records), err)
	}
	shown := 0
	if err := s.Range(ctx, store.KindEntry, func(string, store.Record) bool { shown++; return true }); err == nil || shown > 0 {
		t.Errorf("Range: %d records, %v, want an error alone", shown, err)
	}
	_, err = db.Exec("ALTER TABLE data RENAME COLUMN others TO bytes")
	require.NoError(t, err)
	after, err := s.Get(ctx, "k")
	require.NoError(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the record has changed (-before +after):\n%s", diff)
	}
}

// A reader that does not stop keeps the log from being emptied. The log has a bound nevertheless, and when the reader stops all is well again.
func TestLogIsBounded(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{MaxBytes: 8 << 20, Sync: sqlite.SyncOff})
	put(t, s, "k", store.Record{Data: []byte("x")})
	reader := raw(t, path)
	_, err := reader.Exec("BEGIN")
	require.NoError(t, err)
	var n int
	require.NoError(t, reader.QueryRow("SELECT count(*) FROM records").Scan(&n))

	longest, data := int64(0), proof("large", 1, 1<<20)
	var refused error
	last := ""
	for i := 0; i < 200 && refused == nil; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		key := fmt.Sprint("k-", i)
		if refused = s.Put(ctx, key, store.Record{Data: data}); refused == nil {
			last = key
		}
		cancel()
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		longest = max(longest, info.Size())
	}
	if refused == nil || !strings.Contains(refused.Error(), "log is full") {
		t.Errorf("Put: %v, want an error that says why", refused)
	}
	if longest > 68<<20 {
		t.Errorf("the log had %d bytes", longest)
	}
	if !has(t, s, last) {
		t.Error("reads do not go on")
	}
	require.NoError(t, reader.Close())
	put(t, s, "after", store.Record{Data: data})
	testutil.Eventually(t, "the log is short again", func() bool {
		put(t, s, "again", store.Record{Data: data})
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return info.Size() < 20<<20
	})
}
