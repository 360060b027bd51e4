package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

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
func TestRemovedOrReplacedFileIsNoticed(t *testing.T) {
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
