package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// A disk that cannot be read costs an error, never the record: whichever operation of a Get fails, it returns the record or the error.
func TestGetWithOneFailingOperationReturnsTheRecordOrTheError(t *testing.T) {
	f := &faults{err: syscall.EIO}
	s := openQuiet(t, t.TempDir(), Options{}, f)
	want := mustPut(t, s, "k", store.Record{Data: []byte(strings.Repeat("x", 10_000))})
	failed := map[string]int{}
	for n := 1; ; n++ {
		f.failNext(n)
		r, err := s.Get(t.Context(), "k")
		f.turn(false)
		if n > len(f.ops) {
			break
		}
		op := f.ops[n-1]
		switch {
		case err == nil && r.Version == want.Version && string(r.Data) == string(want.Data):
		case errors.Is(err, syscall.EIO) && r.Version == "" && r.Data == nil:
			failed[op]++
		default:
			t.Errorf("%s, operation %d, fails: version %q, %d bytes, %v", op, n, r.Version, len(r.Data), err)
		}
		if got := mustGet(t, s, "k"); got.Version != want.Version {
			t.Fatalf("%s, operation %d, fails: version %q afterwards, want %q", op, n, got.Version, want.Version)
		}
	}
	if failed["open"] != 1 || failed["stat"] != 1 || failed["read"] != 2 {
		t.Errorf("errors returned by operation: %v, want those of one open, one stat and two reads", failed)
	}
}

// What cannot be read is not absent. Whichever operation of a change fails, the change takes place as if none had,
// or returns the error and leaves the records alone; with Sync, the record that was to be replaced may be gone.
func TestChangeWithOneFailingOperationIsMadeInFullOrReturnsTheError(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	x := store.Record{Data: []byte("x")}
	for _, c := range []struct {
		name string
		call func(s *Store, version string) error
		k, l string // what is there after the call if nothing fails
		err  error
	}{
		{"Put of a new record", func(s *Store, _ string) error { return s.Put(t.Context(), "l", x) }, "old", "x", nil},
		{"Put as if there were none", func(s *Store, _ string) error { return s.Put(t.Context(), "k", x) }, "old", "", store.ErrConflict},
		{"Put in the place of another", func(s *Store, version string) error {
			return s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Version: version})
		}, "x", "", nil},
		{"Put of what is over", func(s *Store, version string) error {
			return s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Version: version, Expires: time.Now().Add(-time.Second)})
		}, "", "", nil},
		{"Delete", func(s *Store, version string) error { return s.Delete(t.Context(), "k", version) }, "", "", nil},
	} {
		for _, sync := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, sync %t", c.name, sync), func(t *testing.T) {
				f := &faults{err: syscall.EIO}
				dir := t.TempDir()
				s := openQuiet(t, dir, Options{Sync: sync}, f)
				failed := 0
				for n := 1; ; n++ {
					require.NoError(t, s.Delete(t.Context(), "k", ""))
					require.NoError(t, s.Delete(t.Context(), "l", ""))
					old := mustPut(t, s, "k", store.Record{Data: []byte("old"), Expires: expires})
					f.failNext(n)
					err := c.call(s, old.Version)
					f.turn(false)
					if n > len(f.ops) {
						break
					}
					want := []string{c.k + ", " + c.l}
					if errors.Is(err, syscall.EIO) {
						failed++
						want = []string{"old, "}
						if sync && c.k == "x" {
							want = append(want, ", ")
						}
					} else if !errors.Is(err, c.err) {
						t.Errorf("%s, operation %d, fails: %v, want %v or EIO", f.ops[n-1], n, err, c.err)
					}
					if got := string(mustGet(t, s, "k").Data) + ", " + string(mustGet(t, s, "l").Data); !slices.Contains(want, got) {
						t.Errorf("%s, operation %d, fails with %v: k and l are %q afterwards, want %q", f.ops[n-1], n, err, got, want)
					}
				}
				if failed == 0 {
					t.Error("no error was ever returned")
				}
				checkDir(t, dir, s, "afterwards")
			})
		}
	}
}

// Where the state cannot be read, another process may have filled the directory: the Put fails.
func TestPutFailsIfTheStateCannotBeRead(t *testing.T) {
	f := &faults{only: "readat", forGood: true, err: syscall.EIO}
	s := openQuiet(t, t.TempDir(), Options{}, f)
	err := lockedIn(t, s, "k", func(h *lockedShard, name string) error {
		f.failNext(1)
		defer f.turn(false)
		return h.replace(name, encoded(t, "k", store.Record{}), there{})
	})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("%v, want EIO", err)
	}
	if got := mustGet(t, s, "k"); got.Version != "" {
		t.Error("the record is there")
	}
}

// lockedIn calls f with the lock of key's shard.
func lockedIn(t *testing.T, s *Store, key string, f func(h *lockedShard, name string) error) error {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	shard, name := nameOf(key)
	return s.locked(t.Context(), p, shard, func(h *lockedShard) error { return f(h, name) })
}

// slotOf returns what the state says of a shard.
func slotOf(t *testing.T, s *Store, shard int) slot {
	t.Helper()
	p, err := s.place()
	require.NoError(t, err)
	all, err := readState(p.state)
	require.NoError(t, err)
	return all.slots[shard]
}

// A change that failed in an orderly way leaves a clean slot: a dirty one has the next caller list the whole shard.
func TestFailedPutLeavesTheSlotAsItWas(t *testing.T) {
	for _, op := range []string{"create", "rename"} {
		f := &faults{only: op, forGood: true, err: syscall.ENOSPC}
		s := openQuiet(t, t.TempDir(), Options{}, f)
		old := mustPut(t, s, "k", store.Record{Data: []byte("old")})
		shard, _ := nameOf("k")
		before := slotOf(t, s, shard)
		f.failNext(1)
		err := s.Put(t.Context(), "k", store.Record{Data: make([]byte, 2*block), Version: old.Version})
		f.turn(false)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s fails: Put: %v, want ENOSPC", op, err)
		}
		if after := slotOf(t, s, shard); after.dirty || after.bytes != before.bytes || after.records != before.records {
			t.Errorf("%s fails: the slot was %+v and is %+v", op, before, after)
		}
	}
}

// A record that finds no room asks for it, and leaves the slot as it was. What it was to replace counts as used just now:
// if it made room for itself, the Put would end in a conflict.
func TestReplaceWithoutRoomKeepsWhatItReplaces(t *testing.T) {
	f := &faults{}
	dir := t.TempDir()
	s := openQuiet(t, dir, Options{MaxBytes: minBytes}, f)
	long := time.Now().Add(-time.Hour)
	for _, stored := range []bool{true, false} {
		key := fmt.Sprint("stored ", stored)
		var found there
		if stored {
			mustPut(t, s, key, store.Record{Data: []byte("old")})
			require.NoError(t, os.Chtimes(pathOf(dir, key), long, long))
			found.size = int64(len(encoded(t, key, store.Record{Data: []byte("old")})))
		}
		shard, _ := nameOf(key)
		before := slotOf(t, s, shard)
		f.failNext(0)
		err := lockedIn(t, s, key, func(h *lockedShard, name string) error {
			return h.replace(name, make([]byte, minBytes+1), found)
		})
		f.turn(false)
		var need errRoom
		if !errors.As(err, &need) || int64(need) != minBytes+block-charge(found.size) {
			t.Errorf("%s: %v, want a call for room", key, err)
		}
		if after := slotOf(t, s, shard); after != before {
			t.Errorf("%s: the slot was %+v and is %+v", key, before, after)
		}
		if touched := slices.Contains(f.ops, "touch"); touched != stored {
			t.Errorf("%s: touched: %t", key, touched)
		}
		if stored {
			if info, err := os.Stat(pathOf(dir, key)); err != nil || time.Since(info.ModTime()) > time.Minute {
				t.Errorf("%s: it is as old as before: %v", key, err)
			}
		}
	}
}

// A Put that cannot make room says why it cannot.
func TestPutReturnsTheErrorOfMakingRoom(t *testing.T) {
	f := &faults{only: "remove", forGood: true, err: syscall.EROFS}
	s := openQuiet(t, t.TempDir(), Options{MaxBytes: minBytes}, f)
	for i := range 10 {
		mustPut(t, s, fmt.Sprint(i), store.Record{Data: []byte("x")})
	}
	f.failNext(1)
	err := s.Put(t.Context(), "large", store.Record{Data: make([]byte, minBytes/2)})
	f.turn(false)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("%v, want one of making room, with EROFS", err)
	}
}

// A slot that was never written, or half of it, does not say how full its shard is: the shard is counted before more is written.
func TestUnknownSlotIsCountedBeforeAPut(t *testing.T) {
	s := openQuiet(t, t.TempDir(), Options{}, &faults{})
	mustPut(t, s, "k", store.Record{Data: make([]byte, 3*block)})
	shard, _ := nameOf("k")
	before := slotOf(t, s, shard)
	p, err := s.place()
	require.NoError(t, err)
	_, err = p.state.WriteAt(make([]byte, slotSize), int64(shard*slotSize))
	require.NoError(t, err)
	other := "l"
	err = lockedIn(t, s, other, func(h *lockedShard, _ string) error { return h.fits(7) })
	if err != errRoom(7) {
		t.Errorf("%v, want a call for room", err)
	}
	mustPut(t, s, other, store.Record{Data: []byte("x")})
	if after := slotOf(t, s, shard); after.dirty || after.bytes != before.bytes || after.records != before.records {
		t.Errorf("after the next Put the slot is %+v, want %+v", after, before)
	}
}

// The store knows since when its oldest record has been used, whichever shard that is in: a record in its older half is touched when it is used.
func TestPutLearnsTheOldestUse(t *testing.T) {
	for _, want := range []int{0, 1, shards - 1} {
		s := openQuiet(t, t.TempDir(), Options{}, &faults{})
		var key string
		for i := 0; ; i++ {
			key = fmt.Sprint(i)
			if shard, _ := nameOf(key); shard == want {
				break
			}
		}
		mustPut(t, s, key, store.Record{})
		first := slotOf(t, s, want).oldest
		mustPut(t, s, "another", store.Record{})
		if got := s.oldest.Load(); got != first || got == 0 {
			t.Errorf("the oldest is in shard %d: %d, want %d", want, got, first)
		}
	}
}

// With Sync a record whose name may be lost with the power is not there.
func TestPutWithSyncFailsIfTheDirectoryCannotBeSynced(t *testing.T) {
	f := &faults{forGood: true, err: syscall.EIO}
	s := openQuiet(t, t.TempDir(), Options{Sync: true}, f)
	mustPut(t, s, "k", store.Record{})
	for _, op := range []string{"open", "sync", "close"} {
		f.only = op
		err := lockedIn(t, s, "k", func(h *lockedShard, _ string) error {
			f.failNext(1)
			defer f.turn(false)
			return h.syncDir()
		})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: %v, want EIO", op, err)
		}
	}
}

// Whatever is under the name of a record, drop removes it or returns why it cannot.
func TestDropReturnsTheErrorOfRemove(t *testing.T) {
	f := &faults{only: "remove", err: syscall.EIO}
	dir := t.TempDir()
	s := openQuiet(t, dir, Options{}, f)
	mustPut(t, s, "file", store.Record{})
	require.NoError(t, os.Symlink("nothing", pathOf(dir, "symlink")))
	for _, key := range []string{"file", "symlink"} {
		f.forGood = true
		f.failNext(1)
		err := lockedIn(t, s, key, (*lockedShard).drop)
		f.turn(false)
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v, want EIO", key, err)
		}
		if err := lockedIn(t, s, key, (*lockedShard).drop); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := os.Lstat(pathOf(dir, key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", key, err)
		}
	}
}

// What is in the place of a record and cannot be removed is an error of the change, before anything else is tried.
func TestChangeFailsIfWhatIsNoFileStays(t *testing.T) {
	f := &faults{only: "remove", forGood: true, err: syscall.EIO}
	dir := t.TempDir()
	s := openQuiet(t, dir, Options{}, f)
	require.NoError(t, os.Symlink("nothing", pathOf(dir, "k")))
	f.failNext(1)
	err := s.Put(t.Context(), "k", store.Record{Data: []byte("x")})
	f.turn(false)
	if !errors.Is(err, syscall.EIO) || slices.Contains(f.ops, "create") {
		t.Errorf("Put: %v after %q, want EIO and nothing written", err, f.ops)
	}
}

// A Put in the place of a version does not read the data that it replaces, which may be large.
func TestPutInThePlaceOfAVersionReadsNoData(t *testing.T) {
	f := &faults{}
	s := openQuiet(t, t.TempDir(), Options{}, f)
	old := mustPut(t, s, "k", store.Record{Data: make([]byte, 3*block)})
	f.failNext(0)
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Version: old.Version}))
	f.turn(false)
	if slices.Contains(f.ops, "read") {
		t.Errorf("operations: %q", f.ops)
	}
}

func TestPutReturnsTheErrorOfARecordThatCannotBeStored(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{})
	for _, n := range []int{0, maxName + 1} {
		if err := s.Put(t.Context(), strings.Repeat("k", n), store.Record{}); err == nil {
			t.Errorf("a key of %d bytes: no error", n)
		}
	}
}

// Others change the directory between two looks at a name. What was there at the second look and not at the first, or the other way round, is no damage.
func TestNameThatChangesBetweenTwoLooks(t *testing.T) {
	f := &faults{only: "open", forGood: true, err: fs.ErrNotExist}
	dir := t.TempDir()
	s := openQuiet(t, dir, Options{}, f)
	mustPut(t, s, "k", store.Record{})
	p, err := s.place()
	require.NoError(t, err)
	_, name := nameOf("k")
	if err := odd(p.fs, name, fs.ErrNotExist); err != fs.ErrNotExist {
		t.Errorf("it was made in between: %v, want ErrNotExist", err)
	}
	_, absent := nameOf("absent")
	if err := odd(p.fs, absent, syscall.EACCES); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was removed in between: %v, want ErrNotExist", err)
	}
	if err := odd(p.fs, name, syscall.EACCES); err != syscall.EACCES {
		t.Errorf("it may not be opened: %v, want EACCES", err)
	}
	var found there
	err = lockedIn(t, s, "k", func(h *lockedShard, name string) error {
		f.failNext(1)
		defer f.turn(false)
		found, err = h.look("k", name, "", time.Now())
		return err
	})
	if err != nil || found.version != "" || found.size == 0 {
		t.Errorf("it was removed while it was looked at: %+v, %v, want its size alone", found, err)
	}
}

// A file that became shorter after its size was known is no whole record, and no failure of the disk.
func TestFileThatEndsEarlyIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	root, err := openRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	whole := encoded(t, "k", store.Record{Data: make([]byte, 2*block)})
	for _, n := range []int{0, 1, block, block + 1, len(whole) - 1} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "record"), whole[:n], 0o600))
		f, err := root.Open("record", os.O_RDONLY)
		require.NoError(t, err)
		if b, err := readAll(f, int64(len(whole))); !errors.Is(err, errCorrupt) || b != nil {
			t.Errorf("%d of %d bytes: %d bytes, %v, want errCorrupt", n, len(whole), len(b), err)
		}
		require.NoError(t, f.Close())
	}
}

// counted is a file system that counts how often it was closed.
type counted struct {
	filesystem
	closed *atomic.Int32
}

func (c counted) Close() error {
	c.closed.Add(1)
	return c.filesystem.Close()
}

// After its directory was deleted, the store opens it again, and closes what it had open before. If it cannot, the change says so.
func TestChangeOpensADeletedDirectoryAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	var closed atomic.Int32
	var fail atomic.Bool
	refused := errors.New("refused")
	s, err := open(dir, Options{}, func(dir string) (filesystem, error) {
		if fail.Load() {
			return nil, refused
		}
		root, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		return counted{root, &closed}, nil
	})
	require.NoError(t, err)
	defer s.Close()
	<-s.swept
	mustPut(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, os.RemoveAll(dir))
	fail.Store(true)
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("x")}); !errors.Is(err, refused) {
		t.Errorf("Put while it cannot be opened: %v, want the error of opening", err)
	}
	if closed.Load() != 0 {
		t.Error("what is in use was closed")
	}
	fail.Store(false)
	if got := mustPut(t, s, "k", store.Record{Data: []byte("x")}); string(got.Data) != "x" {
		t.Errorf("afterwards: %q", got.Data)
	}
	if n := closed.Load(); n != 1 {
		t.Errorf("closed %d times, want once", n)
	}
}

// Where the directory is deleted each time it has been made again, a Put gives up.
func TestPutGivesUpWhenTheDirectoryIsDeletedAgainAndAgain(t *testing.T) {
	f := &faults{only: "rename", err: fs.ErrNotExist, forGood: true}
	s := openQuiet(t, t.TempDir(), Options{}, f)
	shard, name := nameOf("k")
	p, err := s.place()
	require.NoError(t, err)
	calls := 0
	err = s.change(context.Background(), "k", func(h *lockedShard, got string) error {
		if calls++; h.shard != shard || got != name {
			t.Errorf("shard %d, name %s", h.shard, got)
		}
		return fs.ErrNotExist
	})
	if !errors.Is(err, fs.ErrNotExist) || calls != rounds {
		t.Errorf("%v after %d calls, want ErrNotExist after %d", err, calls, rounds)
	}
	if again, err := s.place(); err != nil || again == p {
		t.Errorf("the directory was not opened again: %v", err)
	}
}
