package file

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// The directory of a shard stays open, but a record is looked for where its name leads now.
func TestGetSeesAShardThatWasDeletedAndMadeAgain(t *testing.T) {
	for name, remove := range map[string]func(shard string) error{
		"deleted": os.RemoveAll,
		"moved":   func(shard string) error { return os.Rename(shard, shard+".away") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ours, theirs := mustOpen(t, dir), mustOpen(t, dir)
			ctx := t.Context()
			require.NoError(t, ours.Put(ctx, "k", store.Record{Data: []byte("before")}))
			r, err := ours.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "before", string(r.Data))
			_, path := nameOf("k")
			require.NoError(t, remove(filepath.Join(dir, path[:2])))
			if name == "deleted" {
				r, err = ours.Get(ctx, "k")
				require.NoError(t, err)
				require.Empty(t, r.Version, "it was deleted")
			}
			if r, err = theirs.Get(ctx, "k"); err == nil {
				err = theirs.Put(ctx, "k", store.Record{Data: []byte("after"), Version: r.Version})
			}
			require.NoError(t, err)
			if name == "moved" { // the open directory still has the record: what makes it out of date is a change, as for any name that is not there
				require.NoError(t, os.Remove(filepath.Join(dir, path[:2]+".away", path[3:])))
			}
			r, err = ours.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "after", string(r.Data))
		})
	}
}

// A slot without an epoch, which no count of this version has written, does not hide that a directory was moved away.
func TestGetOfAMovedShardWithoutAnEpoch(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	<-s.swept
	mustPut(t, s, "k", store.Record{Data: []byte("before")})
	p, err := s.place()
	require.NoError(t, err)
	shard, path := nameOf("k")
	require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error {
		h.slot.epoch = 0
		return h.write(h.slot)
	}))
	for range 2 { // the first one opens the directory
		require.Equal(t, "before", string(mustGet(t, s, "k").Data))
	}
	require.NoError(t, os.Rename(filepath.Join(dir, path[:2]), filepath.Join(dir, tempPrefix+"away")))
	require.Empty(t, mustGet(t, s, "k").Version)
}

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// What is in the place of a record and no file holds no reader up, is not followed, and goes.
func TestGetOfWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	ctx := t.Context()
	_, path := nameOf("k")
	path = filepath.Join(dir, path)
	elsewhere := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(elsewhere, encoded(t, "k", store.Record{Data: []byte("secret")}), 0o600))
	for name, put := range map[string]func() error{
		"a symlink": func() error { return os.Symlink(elsewhere, path) },
		"a pipe":    func() error { return syscall.Mkfifo(path, 0o600) },
		"a link":    func() error { return os.Symlink("absent", path) },
	} {
		require.NoError(t, s.Put(ctx, "k", store.Record{Data: []byte("x")}))
		_, err := s.Get(ctx, "k") // opens the shard
		require.NoError(t, err)
		require.NoError(t, os.Remove(path))
		require.NoError(t, put())
		done := make(chan struct{})
		go func() { // another process that opens the pipe to write lets a reader that hangs go on
			defer close(done)
			r, err := s.Get(ctx, "k")
			if err != nil || r.Version != "" {
				t.Errorf("%s: %q, %v", name, r.Data, err)
			}
		}()
		<-done
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: it is still there: %v", name, err)
		}
	}
}

// One descriptor at most stays open for each shard, and none after Close, also if readers open the shards at once.
func TestShardsAreClosedWithTheStore(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	ctx := context.Background()
	var readers sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		require.NoError(t, s.Put(ctx, key, store.Record{Data: []byte("x")}))
		for range 4 {
			readers.Go(func() {
				if r, err := s.Get(ctx, key); err != nil || r.Version == "" {
					t.Errorf("%s: %v", key, err)
				}
			})
		}
	}
	readers.Wait()
	<-s.swept                                       // which opens shards, too
	if n := descriptorsIn(t, dir); n < 4 || n > 7 { // the directory, its state and its lock, and up to four shards
		t.Errorf("%d descriptors are open", n)
	}
	require.NoError(t, s.Close())
	if n := descriptorsIn(t, dir); n != 0 {
		t.Errorf("%d descriptors are open after Close", n)
	}
}

// descriptorsIn returns how many descriptors of this process are for files in a directory.
func descriptorsIn(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range all {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

func TestAllocationsOfAGet(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	ctx := context.Background()
	require.NoError(t, s.Put(ctx, "k", store.Record{Data: make([]byte, 1<<10)}))
	// The least of several: a store that has just been opened works in the background, and what that allocates is counted, too.
	least := math.Inf(1)
	for range 20 {
		least = min(least, testing.AllocsPerRun(20, func() {
			if r, err := s.Get(ctx, "k"); err != nil || r.Version == "" {
				t.Error(err)
			}
		}))
	}
	if least > 7 {
		t.Errorf("%v allocations", least)
	}
}
