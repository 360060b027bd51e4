package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

func TestRecordsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	want := mustPut(t, s, "k", store.Record{Data: []byte("x"), Kind: store.KindEntry, Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond)})
	s.Close()
	s = openIn(t, dir, Options{})
	if got := mustGet(t, s, "k"); string(got.Data) != "x" || got.Version != want.Version || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("y"), Version: want.Version}); err != nil {
		t.Errorf("Put in the place of what is there from before: %v", err)
	}
	checkDir(t, dir, s, "afterwards")
}

// The directory, or a part of it, is deleted while it is in use: its records are gone, and every call works.
func TestDirectoryIsDeletedMeanwhile(t *testing.T) {
	_, name := nameOf("k")
	for what, remove := range map[string]func(dir string) error{
		"all":    os.RemoveAll,
		"shard":  func(dir string) error { return os.RemoveAll(filepath.Join(dir, name[:2])) },
		"lock":   func(dir string) error { return os.Remove(filepath.Join(dir, name[:3]+lockName)) },
		"record": func(dir string) error { return os.Remove(filepath.Join(dir, name)) },
		"all, and another process makes it again": func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			s, err := Open(dir, Options{})
			if err != nil {
				return err
			}
			return s.Close()
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			a, b := openIn(t, dir, Options{}), openIn(t, dir, Options{})
			<-a.swept // which would make again what is deleted at the same moment
			mustPut(t, a, "k", store.Record{Data: []byte("before")})
			require.NoError(t, remove(dir))
			if r := mustGet(t, a, "k"); r.Version != "" && what != "lock" {
				t.Errorf("got %q from a directory that is gone", r.Data)
			}
			for i, s := range []*Store{a, b} {
				key := fmt.Sprint("after-", i)
				if r := mustPut(t, s, key, store.Record{Data: []byte("x")}); string(r.Data) != "x" {
					t.Errorf("instance %d: got %q", i, r.Data)
				}
			}
			for i, s := range []*Store{b, a} {
				if r := mustGet(t, s, fmt.Sprint("after-", i)); string(r.Data) != "x" {
					t.Errorf("instances do not see each other's records")
				}
			}
			a.Delete(t.Context(), "k", "")
			if r := mustPut(t, b, "k", store.Record{Data: []byte("again")}); string(r.Data) != "again" {
				t.Errorf("got %q", r.Data)
			}
			for _, s := range []*Store{a, b} {
				_, err := s.DeleteExpired(t.Context(), time.Now()) // as the worker of a store does
				require.NoError(t, err)
				checkDir(t, dir, s, what)
			}
		})
	}
}

// One that only reads finds out by itself that others have made the directory again, or its state.
func TestStateIsDeletedMeanwhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	reader := openIn(t, dir, Options{})
	<-reader.swept
	mustPut(t, reader, "old", store.Record{Data: []byte("x")})
	require.NoError(t, os.RemoveAll(dir))
	writer := openIn(t, dir, Options{})
	mustPut(t, writer, "new", store.Record{Data: []byte("x")})
	reader.sweepNext(t.Context(), 0, time.Now())
	if r := mustGet(t, reader, "new"); string(r.Data) != "x" {
		t.Errorf("the reader does not see what the writer has put: %q", r.Data)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, stateName)))
	reader.sweepNext(t.Context(), 0, time.Now())
	writer.sweepNext(t.Context(), 0, time.Now())
	mustPut(t, reader, "more", store.Record{Data: []byte("x")})
	for _, s := range []*Store{reader, writer} {
		checkDir(t, dir, s, "with a new state")
	}
}

// A Get is a use, and the file's time says when it was: at once for what is in the older half of the store, and else after a minute.
func TestUseIsWrittenDown(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	now := time.Now()
	set := func(key string, ago time.Duration) {
		require.NoError(t, os.Chtimes(pathOf(dir, key), now.Add(-ago), now.Add(-ago)))
	}
	used := func(key string) time.Duration {
		info, err := os.Stat(pathOf(dir, key))
		require.NoError(t, err)
		return now.Sub(info.ModTime()).Round(time.Second)
	}
	for _, key := range []string{"oldest", "k"} {
		mustPut(t, s, key, store.Record{Data: []byte("x")})
	}
	for _, tt := range []struct {
		name        string
		oldest, ago time.Duration
		touched     bool
	}{
		{"just used", time.Hour, 10 * time.Second, false},
		{"a minute ago", time.Hour, 61 * time.Second, true},
		{"older half of a young store", 40 * time.Second, 30 * time.Second, true},
		{"newer half of a young store", 40 * time.Second, 10 * time.Second, false},
	} {
		set("k", tt.ago)
		s.oldest.Store(now.Add(-tt.oldest).UnixNano())
		mustGet(t, s, "k")
		if got := used("k"); (got < tt.ago) != tt.touched {
			t.Errorf("%s: used %v ago by the file's time, which was set: %t, want %t", tt.name, got, got < tt.ago, tt.touched)
		}
	}
}

func TestClose(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{})
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				key := fmt.Sprint(i, "-", n)
				s.Put(t.Context(), key, store.Record{Data: proofLike(key)})
				s.Get(t.Context(), key)
			}
		})
	}
	require.NoError(t, s.Close())
	wg.Wait()
	require.NoError(t, s.Close())
	if r, err := s.Get(t.Context(), "k"); err == nil {
		t.Errorf("Get after Close: %q, want an error", r.Data)
	}
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("y")}); err == nil {
		t.Error("Put after Close: want an error")
	}
	if _, _, err := s.Size(t.Context()); err == nil {
		t.Error("Size after Close: want an error")
	}
}

func proofLike(key string) []byte { return fmt.Appendf(nil, "%s %s", key, make([]byte, 5000)) }

// The parts of a body are put before the record that owns them. If that never comes, they are removed: a day later, or when a process opens the directory
// and no other has it open.
func TestPartsWithoutOwnerAreReclaimed(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	part := store.Record{Data: []byte("x"), Kind: store.KindBody, Owner: "owner"}
	lost := store.Record{Data: []byte("x"), Kind: store.KindBody, Owner: "absent"}
	mustPut(t, s, "part", part)
	mustPut(t, s, "lost", lost)
	mustPut(t, s, "owner", store.Record{Data: []byte("o"), Kind: store.KindEntry})
	if n, err := s.DeleteExpired(t.Context(), time.Now()); err != nil || n != 0 {
		t.Errorf("DeleteExpired: %d, %v, want 0: nothing is over", n, err)
	}
	if mustGet(t, s, "part").Version == "" || mustGet(t, s, "lost").Version == "" {
		t.Fatal("parts are gone at once")
	}
	long := time.Now().Add(-2 * partsStay)
	for _, key := range []string{"lost", "part"} {
		require.NoError(t, os.Chtimes(pathOf(dir, key), long, long))
		foretell(t, s, key, long.Add(partsStay)) // as a Put would have, so long ago
	}
	if n, err := s.DeleteExpired(t.Context(), time.Now()); err != nil || n != 0 {
		t.Errorf("DeleteExpired: %d, %v, want 0: nothing is over", n, err)
	}
	if r := mustGet(t, s, "lost"); r.Version != "" {
		t.Error("a part without owner is there after days")
	}
	if r := mustGet(t, s, "part"); r.Version == "" {
		t.Error("a part with an owner is gone")
	}
	mustPut(t, s, "lost", lost)
	s.Close()
	s = openIn(t, dir, Options{})
	<-s.swept
	if r := mustGet(t, s, "lost"); r.Version != "" {
		t.Error("a part without owner is there after a restart")
	}
	checkDir(t, dir, s, "afterwards")
}

// foretell has the slot of a key's shard say when something will be due in it.
func foretell(t *testing.T, s *Store, key string, due time.Time) {
	t.Helper()
	shard, _ := nameOf(key)
	changeSlot(t, s, shard, func(now *slot) { now.due = due.UnixMilli() })
}

func changeSlot(t *testing.T, s *Store, shard int, change func(*slot)) {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	require.NoError(t, s.locked(t.Context(), p, shard, func(h *lockedShard) error {
		now := h.slot
		change(&now)
		h.end(now)
		return nil
	}))
}

// A process that was stopped while it held a lock delays no caller beyond its context.
func TestStoppedProcessDelaysNoCallerBeyondItsContext(t *testing.T) {
	dir := t.TempDir()
	a, b := openIn(t, dir, Options{}), openIn(t, dir, Options{})
	mustPut(t, a, "k", store.Record{Data: []byte("x")})
	p, err := a.place()
	require.NoError(t, err)
	shard, _ := nameOf("k")
	h, err := a.lockShard(t.Context(), p, shard)
	require.NoError(t, err)
	ctx, cancel := contextFor(t, 20*time.Millisecond)
	defer cancel()
	if r := mustGet(t, b, "k"); string(r.Data) != "x" {
		t.Errorf("Get beside a lock: %q", r.Data)
	}
	if err := b.Put(ctx, "k", store.Record{Data: []byte("y")}); !errors.Is(err, ctx.Err()) || err == nil {
		t.Errorf("Put beside a lock: %v, want the error of the context", err)
	}
	h.unlock()
	if err := b.Delete(t.Context(), "k", ""); err != nil {
		t.Errorf("Delete afterwards: %v", err)
	}
}

// A small file system that is full, if this process may mount one.
func TestDiskFull(t *testing.T) {
	mount := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "ply-test", mount).CombinedOutput(); err != nil {
		t.Logf("no file system to fill: %v %s (see TestEveryOperationMayFail and TestFileSizeLimit)", err, out)
		return
	}
	defer exec.Command("umount", mount).Run()
	dir := filepath.Join(mount, "store")
	s := openIn(t, dir, Options{MaxBytes: 1 << 30})
	defer s.Close()
	mustPut(t, s, "k", store.Record{Data: []byte("there before")})
	full := 0
	for i := range 100 {
		key := fmt.Sprint("fill-", i)
		err := s.Put(t.Context(), key, store.Record{Data: proofLike(fmt.Sprint(key, string(make([]byte, 40_000))))})
		if err == nil {
			continue
		}
		full++
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Put on a full disk: %v, want ENOSPC", err)
		}
		if r := mustGet(t, s, key); r.Version != "" {
			t.Errorf("what could not be put is there")
		}
	}
	if full < 50 {
		t.Errorf("%d of 100 Puts were told that the disk is full", full)
	}
	if r := mustGet(t, s, "k"); string(r.Data) != "there before" {
		t.Errorf("the record before: %q", r.Data)
	}
	checkDir(t, dir, s, "a full disk")
	require.NoError(t, s.Clear(t.Context()))
	mustPut(t, s, "k", store.Record{Data: proofLike("k")})
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// Files that were deleted by hand are not counted any more after a Clear, even where nothing is left to remove.
func TestClearCountsWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	s := openQuiet(t, dir, Options{}, &faults{})
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, os.Remove(pathOf(dir, "k")))
	require.NoError(t, s.Clear(t.Context()))
	checkDir(t, dir, s, "after Clear")
}
