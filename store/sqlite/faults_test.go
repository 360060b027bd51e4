package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// While another connection holds the write lock, reads go on, and a write waits as long as its context lasts.
func TestLocked(t *testing.T) {
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

func TestClose(t *testing.T) {
	path := file(t)
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})

	db := raw(t, path)
	_, err = db.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)
	waiting := make(chan error)
	for range 3 {
		go func() { waiting <- s.Put(t.Context(), "l", store.Record{Data: []byte("x")}) }()
	}
	<-time.After(20 * time.Millisecond)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	for range 3 {
		if err := <-waiting; !errors.Is(err, sqlite.ErrClosed) {
			t.Errorf("a Put that waited: %v, want ErrClosed", err)
		}
	}
	all.Wait()
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"Get":           func() error { _, err := s.Get(ctx, "k"); return err },
		"GetMulti":      func() error { _, err := s.GetMulti(ctx, []string{"k"}); return err },
		"Put":           func() error { return s.Put(ctx, "m", store.Record{Data: []byte("x")}) },
		"Delete":        func() error { return s.Delete(ctx, "k", "") },
		"Range":         func() error { return s.Range(ctx, store.KindEntry, func(string, store.Record) bool { return true }) },
		"Clear":         func() error { return s.Clear(ctx) },
		"DeleteExpired": func() error { _, err := s.DeleteExpired(ctx, time.Now()); return err },
		"Size":          func() error { _, _, err := s.Size(ctx); return err },
	} {
		if err := call(); !errors.Is(err, sqlite.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", what, err)
		}
	}
	require.NoError(t, s.Close())
	_, err = db.Exec("ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("after Close %v is there, %v, want the file alone", entries, err)
	}
}

// A file that is gone, or another one, is noticed by the next call.
func TestFileGoes(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, path string)
		has  string // what is there then
	}{
		{"removed", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, ""},
		{"removed with its log", func(t *testing.T, path string) {
			for _, p := range []string{path, path + "-wal", path + "-shm"} {
				require.NoError(t, os.Remove(p))
			}
		}, ""},
		{"directory removed", func(t *testing.T, path string) { require.NoError(t, os.RemoveAll(filepath.Dir(path))) }, ""},
		{"moved away", func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) }, ""},
		{"replaced", func(t *testing.T, path string) {
			other, err := sqlite.Open(path+".other", sqlite.Options{})
			require.NoError(t, err)
			put(t, other, "other", store.Record{Data: proof("other", 1, 100)})
			require.NoError(t, other.Close())
			require.NoError(t, os.Remove(path+"-wal"))
			require.NoError(t, os.Remove(path+"-shm"))
			require.NoError(t, os.Rename(path+".other", path))
		}, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir", "cache.db")
			first, second := open(t, path, sqlite.Options{}), open(t, path, sqlite.Options{})
			for _, s := range []*sqlite.Store{first, second} {
				put(t, s, "k", store.Record{Data: proof("k", 1, 5000)})
				put(t, s, "l", store.Record{Data: proof("l", 1, 100)})
			}
			stale, err := first.Get(t.Context(), "k")
			require.NoError(t, err)
			c.do(t, path)
			if err := first.Put(t.Context(), "k", store.Record{Data: proof("k", 2, 100), Version: stale.Version}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("Put in the place of what was in the file that is gone: %v, want ErrConflict", err)
			}
			for i, s := range []*sqlite.Store{first, second} {
				if has(t, s, "l") {
					t.Errorf("store %d still has what was in the file that is gone", i)
				}
				if c.has != "" && !has(t, s, c.has) {
					t.Errorf("store %d does not have what is in the file that came", i)
				}
			}
			put(t, first, "new", store.Record{Data: proof("new", 1, 5000)})
			if !has(t, second, "new") {
				t.Error("what one store puts into the new file the other one does not have")
			}
			modesAre(t, path)
			require.NoError(t, second.Close())
			if !has(t, first, "new") {
				t.Error("closing one store took the other one's records away")
			}
			require.NoError(t, first.Close())
			sound(t, path)
		})
	}
}

func modesAre(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the new file has the mode %v", info.Mode())
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
	eventually(t, "the log is short again", func() bool {
		put(t, s, "again", store.Record{Data: data})
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return info.Size() < 20<<20
	})
}
