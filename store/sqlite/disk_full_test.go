//go:build unix

package sqlite_test

import (
	"errors"
	"fmt"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

func init() { children["full"] = fillTheDisk }

// TestDiskFull has a process write until no file may become longer, at many lengths: wherever the write fails, nothing that is read is wrong,
// what was there stays, and when there is room again all is well.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	cmd := process(t, "full", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, path := range matches(t, filepath.Join(dir, "*.db")) {
		sound(t, path)
	}
}

func matches(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found
}

func fillTheDisk(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	for limit := uint64(100_000); limit < 1_000_000; limit += 123_456 {
		if err := fillUpTo(filepath.Join(dir, fmt.Sprint(limit, ".db")), limit); err != nil {
			return fmt.Errorf("at %d bytes: %w", limit, err)
		}
	}
	return nil
}

// setTo sets a limit of the system, which has a sign on FreeBSD.
func setTo[T int64 | uint64](limit *T, n uint64) { *limit = T(n) }

func fillUpTo(path string, limit uint64) error {
	s, err := sqlite.Open(path, sqlite.Options{Sync: sqlite.SyncOff, OnReset: func(err error) { panic(err) }})
	if err != nil {
		return err
	}
	defer s.Close()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	now := old
	setTo(&now.Cur, limit)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		return err
	}
	failed, stored := 0, make(map[string]bool)
	for i := range 40 {
		key := fmt.Sprint("k-", i)
		if err := s.Put(background, key, store.Record{Data: proof(key, i, 1000+i*2000)}); err != nil {
			failed++
		} else {
			stored[key] = true
		}
		if i%4 == 3 {
			if err := allRight(s, stored, 40); err != nil {
				return err
			}
		}
	}
	if failed == 0 {
		return errors.New("no Put failed")
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	for i := range 40 {
		key := fmt.Sprint("k-", i)
		if err := s.Delete(background, key, ""); err != nil {
			return err
		}
		if err := s.Put(background, key, store.Record{Data: proof(key, i, 1000)}); err != nil {
			return err
		}
	}
	return s.Close()
}

func allRight(s *sqlite.Store, stored map[string]bool, n int) error {
	for i := range n {
		key := fmt.Sprint("k-", i)
		r, err := s.Get(background, key)
		if err != nil {
			return err
		}
		if (r.Version != "") != stored[key] {
			return fmt.Errorf("%s: there %t, want %t", key, r.Version != "", stored[key])
		}
		if r.Version != "" {
			if _, err := proven(key, r.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// A disk that is smaller than MaxBytes fills up. What was stored stays readable; and if the disk is still full after a minute, the cache gives its room back.
func TestDiskTooSmall(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", dir).CombinedOutput(); err != nil {
		testutil.SkipUnlessCI(t, fmt.Sprintf("a small file system cannot be mounted here: %s", out))
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
	var resets atomic.Int32
	path := filepath.Join(dir, "cache.db")
	s, err := sqlite.Open(path, sqlite.Options{OnReset: func(error) { resets.Add(1) }})
	require.NoError(t, err)
	defer s.Close()
	stored, full := make(map[string]bool), false
	for i := range 400 {
		key := fmt.Sprint("k-", i)
		if err := s.Put(t.Context(), key, store.Record{Data: proof(key, i, 50_000)}); err == nil {
			stored[key] = true
		} else {
			full = true
		}
	}
	if !full || len(stored) < 20 {
		t.Fatalf("a disk of 12 MiB took %d records, full %t", len(stored), full)
	}
	for key := range stored {
		r, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		if r.Version != "" { // some were evicted, if it came to that
			if _, err := proven(key, r.Data); err != nil {
				t.Error(err)
			}
		}
	}
	s.EveryMinute()
	put(t, s, "after", store.Record{Data: proof("after", 1, 50_000)})
	t.Logf("%d records fitted, %d resets", len(stored), resets.Load())
	require.NoError(t, s.Close())
	sound(t, path)
}
