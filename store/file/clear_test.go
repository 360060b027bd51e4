package file

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
)

// movedAway returns the directories that Clear has moved away.
func movedAway(t testing.TB, dir string) (paths []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	require.NoError(t, err)
	for _, path := range all {
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			paths = append(paths, path)
		}
	}
	return paths
}

func waitUntilRemoved(t testing.TB, dir, what string) {
	t.Helper()
	testutil.Eventually(t, what+": what was cleared is removed", func() bool { return len(movedAway(t, dir)) == 0 })
}

// clearShard clears the shard of a key as Clear does, and leaves what was moved away.
func clearShard(t *testing.T, s *Store, key string) {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	shard, _ := nameOf(key)
	require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error {
		moved, err := h.clear()
		if err == nil && !moved {
			t.Error("the directory was not moved")
		}
		return err
	}))
	require.NoError(t, s.locked(t.Context(), p, shard, func(*lockedShard) error { return nil }))
}

// A reader keeps directories open. What Clear has moved away is not found in them, also when another process has cleared, and long before it is removed.
func TestWhatWasClearedIsNotFoundBeforeItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	reader, clearer := openIn(t, dir, Options{}), openIn(t, dir, Options{})
	<-reader.swept // then no sweeper removes what is moved away before it is told to
	<-clearer.swept
	for _, s := range []*Store{reader, clearer} {
		mustPut(t, s, "k", store.Record{Data: []byte("before")})
		for _, r := range []*Store{reader, clearer} {
			if got := mustGet(t, r, "k"); string(got.Data) != "before" {
				t.Fatalf("got %q", got.Data)
			}
		}
		clearShard(t, clearer, "k")
		if len(movedAway(t, dir)) == 0 {
			t.Fatal("nothing is there that could be found")
		}
		for _, r := range []*Store{reader, clearer} {
			if got := mustGet(t, r, "k"); got.Version != "" {
				t.Errorf("%q was found after it was cleared", got.Data)
			}
		}
		mustPut(t, s, "k", store.Record{Data: []byte("after")})
		for _, r := range []*Store{reader, clearer} {
			if got := mustGet(t, r, "k"); string(got.Data) != "after" {
				t.Errorf("got %q, want what was put after the clearing", got.Data)
			}
		}
		require.NoError(t, clearer.Clear(t.Context()))
		waitUntilRemoved(t, dir, "at the end of a round")
	}
	checkDir(t, dir, reader, "afterwards")
}

// Close waits until what was cleared is removed.
func TestCloseRemovesWhatWasCleared(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	for i := range 200 {
		mustPut(t, s, fmt.Sprint("k-", i), store.Record{Data: []byte("x")})
	}
	require.NoError(t, s.Clear(t.Context()))
	require.NoError(t, s.Close())
	if left := movedAway(t, dir); len(left) > 0 {
		t.Errorf("%d directories are left", len(left))
	}
}

// What a process has moved away that was killed then, the next one removes that opens the directory. A directory of other origin that is not empty stays.
func TestOpenRemovesWhatWasCleared(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	<-s.swept
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
	clearShard(t, s, "k")
	left := movedAway(t, dir)
	require.Len(t, left, 1)
	other := openIn(t, dir, Options{})
	<-other.swept
	require.Empty(t, movedAway(t, dir))
	checkDir(t, dir, s, "afterwards")
}

// Where a directory cannot be moved, as on Windows, Clear removes the files one by one. What is not its own stays.
func TestClearWhereNoDirectoryMoves(t *testing.T) {
	dir := t.TempDir()
	f := &faults{err: syscall.EACCES, only: "rename", forGood: true}
	s := openQuiet(t, dir, Options{}, f)
	for i := range 50 {
		mustPut(t, s, fmt.Sprint("k-", i), store.Record{Data: []byte("x")})
	}
	_, path := nameOf("k-1")
	foreign := filepath.Join(dir, path[:2], "notes", "of-mine")
	require.NoError(t, os.MkdirAll(foreign, 0o700))
	f.failNext(1)
	require.NoError(t, s.Clear(t.Context()))
	f.turn(false)
	f.mu.Lock()
	tried := strings.Contains(strings.Join(f.ops, " "), "rename")
	f.mu.Unlock()
	if !tried {
		t.Fatal("it was not tried")
	}
	n, bytes, err := s.Size(t.Context())
	require.NoError(t, err)
	require.Zero(t, n+bytes)
	require.DirExists(t, foreign)
	checkDir(t, dir, s, "afterwards")
}

// What is in the directory of a shard and not the store's own stays where it is, whether a directory can be moved or not: Clear, a count and the sweeper leave it.
func TestWhatIsNotTheStoresOwnStays(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	<-s.swept
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
	shard, path := nameOf("k")
	in := filepath.Join(dir, path[:2])
	require.NoError(t, os.MkdirAll(filepath.Join(in, "notes", "of-mine"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(in, "empty"), 0o700))
	temp := filepath.Join(in, tempPrefix+rand.Text(), "of-mine")
	require.NoError(t, os.Mkdir(filepath.Join(in, tempPrefix+rand.Text()), 0o700))
	require.NoError(t, os.MkdirAll(temp, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(in, tempPrefix+"of-mine"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(in, "thesis.tex"), []byte("x"), 0o600))
	p, err := s.place()
	require.NoError(t, err)
	for what, do := range map[string]func() error{
		"a sweep": func() error { _, err := s.sweep(t.Context(), p, shard, time.Now(), time.Now()); return err },
		"a count": func() error { return s.locked(t.Context(), p, shard, (*lockedShard).count) },
		"Clear":   func() error { return s.Clear(t.Context()) },
		"again":   func() error { return s.Clear(t.Context()) },
	} {
		require.NoError(t, do(), what)
		p.removeCleared()
		require.FileExists(t, filepath.Join(in, "thesis.tex"), what)
		require.DirExists(t, filepath.Join(in, "empty"), what)
		require.DirExists(t, filepath.Join(in, "notes", "of-mine"), what)
		require.DirExists(t, temp, what)
		require.FileExists(t, filepath.Join(in, tempPrefix+"of-mine"), what)
	}
	require.Empty(t, mustGet(t, s, "k").Version)
	waitUntilRemoved(t, dir, "afterwards")
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
}

// What comes into a shard at the moment when that is moved away stays in the directory that was moved. The rest of it goes, and it is not tried each minute.
func TestWhatWasMovedAwayAndIsNotTheStoresOwnStays(t *testing.T) {
	for _, foreign := range []string{"notes/of-mine", "empty", strings.Repeat("ab", 32) + "/of-mine"} {
		t.Run(foreign, func(t *testing.T) {
			dir := t.TempDir()
			f := &faults{}
			s := openQuiet(t, dir, Options{}, f)
			mustPut(t, s, "k", store.Record{Data: []byte("x")})
			clearShard(t, s, "k")
			left := movedAway(t, dir)
			require.Len(t, left, 1)
			require.NoError(t, os.MkdirAll(filepath.Join(left[0], foreign), 0o700))
			p, err := s.place()
			require.NoError(t, err)
			require.False(t, p.removeCleared())
			require.DirExists(t, filepath.Join(left[0], foreign))
			names, err := p.fs.Names(filepath.Base(left[0]))
			require.NoError(t, err)
			require.Len(t, names, 1, "what is the store's own has gone")
			f.failNext(0)
			require.False(t, p.removeCleared())
			f.turn(false)
			require.Len(t, f.ops, 1, "the second time, the directory is left alone: %v", f.ops)
		})
	}
}

// A Clear that fails at any operation, alone or with all that follow it, as when the process is killed, leaves each record whole or gone, and the sizes right.
func TestClearMayFailAtEveryOperation(t *testing.T) {
	for _, forGood := range []bool{false, true} {
		for k := 1; ; k++ {
			if k > 60 && k%41 != 0 && !*long {
				continue
			}
			dir := t.TempDir()
			f := &faults{err: syscall.EIO, forGood: forGood}
			s := openQuiet(t, dir, Options{}, f)
			for i := range 8 {
				mustPut(t, s, fmt.Sprint("k-", i), store.Record{Data: []byte("x")})
			}
			f.failNext(k)
			err := s.Clear(t.Context())
			s.Close()
			f.turn(false)
			ops := len(f.ops)
			again := openIn(t, dir, Options{})
			<-again.swept
			what := fmt.Sprintf("operation %d of %d fails, for good %t", k, ops, forGood)
			checkDir(t, dir, again, what)
			for i := range 8 {
				if r := mustGet(t, again, fmt.Sprint("k-", i)); err == nil && r.Version != "" {
					t.Fatalf("%s: Clear returned nil, and %q is there", what, r.Data)
				} else if r.Version == "" {
					mustPut(t, again, fmt.Sprint("k-", i), store.Record{Data: []byte("again")})
				}
			}
			checkDir(t, dir, again, what)
			again.Close()
			if k > ops {
				break
			}
		}
	}
}

// faulty is a file system some of whose operations are another function.
type faulty struct {
	filesystem
	mkdir  func(name string) error
	rename func(from, to string) error
	scan   func(name string) error // after the directory was opened
}

func (f faulty) Mkdir(name string) error {
	if f.mkdir != nil {
		if err := f.mkdir(name); err != nil {
			return err
		}
	}
	return f.filesystem.Mkdir(name)
}

func (f faulty) Rename(from, to string) error {
	if f.rename != nil {
		if err := f.rename(from, to); err != nil {
			return err
		}
	}
	return f.filesystem.Rename(from, to)
}

func (f faulty) Scan(name string) (scanner, error) {
	s, err := f.filesystem.Scan(name)
	if err == nil && f.scan != nil {
		err = f.scan(name)
	}
	return s, err
}

func openFaulty(t *testing.T, dir string, f *faulty) *Store {
	t.Helper()
	s, err := open(dir, Options{}, func(dir string) (fs filesystem, err error) {
		f.filesystem, err = openRoot(dir)
		return f, err
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	<-s.swept
	return s
}

// Clear is what makes room on a full disk. There, the directories that take the place of those which were moved away can be made only when these have been removed.
func TestClearOnAFullDisk(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		dir := t.TempDir()
		f := &faulty{mkdir: func(name string) error {
			if len(movedAway(t, dir)) > 0 {
				return &os.PathError{Op: "mkdir", Path: name, Err: full}
			}
			return nil
		}}
		s := openFaulty(t, dir, f)
		for i := range 8 {
			mustPut(t, s, fmt.Sprint("k-", i), store.Record{Data: []byte("x")})
		}
		require.NoError(t, s.Clear(t.Context()), full)
		n, _, err := s.Size(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		checkDir(t, dir, s, full.Error())
	}
}

// What a Clear has moved away that then failed, or whose context has ended, is removed, too, before Close returns.
func TestCloseRemovesWhatAClearHasBegun(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	f := &faulty{}
	s := openFaulty(t, dir, f)
	for i := range 8 {
		mustPut(t, s, fmt.Sprint("k-", i), store.Record{Data: []byte("x")})
	}
	moved := 0
	f.rename = func(from, _ string) error {
		if moved++; moved == 3 {
			cancel()
		}
		return nil
	}
	require.ErrorIs(t, s.Clear(ctx), context.Canceled)
	require.Equal(t, 3, moved)
	require.NoError(t, s.Close())
	require.Empty(t, movedAway(t, dir))
}
