package file

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// The layout of a slot is read by every process that has the directory open, of this version or another.
func TestSlotLayout(t *testing.T) {
	for name, tt := range map[string]struct {
		slot  slot
		shard int
		want  string
	}{
		"clean": {
			slot{bytes: 0x0102030405060708, records: 0x1112131415161718, oldest: 0x2122232425262728}, 3,
			"0103000000000000" + "0807060504030201" + "1817161514131211" + "2827262524232221" + strings.Repeat("00", 28),
		},
		"until when nothing is due, a sweep, an epoch": {
			slot{bytes: 4096, records: 1, oldest: 1, due: 0x0102030405060708, stamp: 0x1112131415161718, epoch: 0x2122232425262728}, 1,
			"0101000000000000" + "0010000000000000" + "0100000000000000" + "0100000000000000" + "0807060504030201" + "1817161514131211" + "2827262524232221" + strings.Repeat("00", 4),
		},
		"dirty": {
			slot{bytes: 4096, records: 1, dirty: true}, 63,
			"013f010000000000" + "0010000000000000" + "0100000000000000" + "0000000000000000" + strings.Repeat("00", 28),
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.slot.encode(tt.shard)
			if diff := cmp.Diff(tt.want, hex.EncodeToString(b[:len(b)-4])); diff != "" {
				t.Errorf("slot without its checksum (-want +got):\n%s", diff)
			}
			got, ok := decodeSlot(b, tt.shard)
			if diff := cmp.Diff(tt.slot, got, cmp.AllowUnexported(slot{})); !ok || diff != "" {
				t.Errorf("decoded: %t (-want +got):\n%s", ok, diff)
			}
			if _, ok := decodeSlot(b, tt.shard+1); ok {
				t.Error("the slot of another shard is taken for this one")
			}
			other := tt.slot.encode(tt.shard)
			other[0] = formatVersion + 1
			binary.LittleEndian.PutUint32(other[slotSize-4:], crc32.Checksum(other[:slotSize-4], castagnoli))
			if _, ok := decodeSlot(other, tt.shard); ok {
				t.Error("the slot of another version of the format counts")
			}
			for i := range b {
				b[i] ^= 1
				if _, ok := decodeSlot(b, tt.shard); ok {
					t.Errorf("byte %d changed: the slot counts", i)
				}
				b[i] ^= 1
			}
		})
	}
}

// The shard that goes first is the one whose record was used longest ago; next is when the second one was used.
func TestOldestShard(t *testing.T) {
	for name, tt := range map[string]struct {
		used  map[int]int64 // by shard
		shard int
		next  int64
	}{
		"none":             {nil, -1, 0},
		"one":              {map[int]int64{5: 70}, 5, 0},
		"the first":        {map[int]int64{1: 10, 2: 30, 3: 20}, 1, 20},
		"the last":         {map[int]int64{1: 30, 2: 20, 3: 10}, 3, 20},
		"in between":       {map[int]int64{1: 30, 2: 10, 3: 20}, 2, 20},
		"at the same time": {map[int]int64{1: 10, 2: 10}, 1, 10},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			for shard, used := range tt.used {
				s.slots[shard] = slot{records: 1, oldest: used}
			}
			if shard, next := s.oldest(); shard != tt.shard || next != tt.next {
				t.Errorf("shard %d, next %d, want %d, %d", shard, next, tt.shard, tt.next)
			}
		})
	}
}

// A change that cannot be announced in the state does not take place: another process would not know how full the directory is.
func TestChangeFailsIfTheStateCannotBeWritten(t *testing.T) {
	f := &faults{only: "writeat", forGood: true, first: 1, err: syscall.ENOSPC}
	dir := t.TempDir()
	s := openFlaky(t, dir, Options{}, f)
	old := mustPut(t, s, "k", store.Record{Data: []byte("there before")})
	f.turn(true)
	absent := s.Put(t.Context(), "l", store.Record{Data: []byte("x")})
	replaced := s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Version: old.Version})
	deleted := s.Delete(t.Context(), "k", "")
	f.turn(false)
	for call, err := range map[string]error{"Put": absent, "Put in the place of another": replaced, "Delete": deleted} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v, want ENOSPC", call, err)
		}
	}
	if got := mustGet(t, s, "k"); got.Version != old.Version || string(got.Data) != "there before" {
		t.Errorf("afterwards: %q, want what was there before", got.Data)
	}
	if got := mustGet(t, s, "l"); got.Version != "" {
		t.Errorf("a Put that failed has stored %q", got.Data)
	}
	checkDir(t, dir, s, "afterwards")
}

// A file that cannot be opened, and whose name cannot be looked up either, costs Get an error and not the record.
func TestGetReturnsTheErrorOfOpenIfLstatFailsToo(t *testing.T) {
	f := &faults{forGood: true, first: 1, err: syscall.EIO} // every operation
	s := openFlaky(t, t.TempDir(), Options{}, f)
	old := mustPut(t, s, "k", store.Record{Data: []byte("x")})
	f.turn(true)
	r, err := s.Get(t.Context(), "k")
	f.turn(false)
	if !errors.Is(err, syscall.EIO) || r.Version != "" {
		t.Errorf("Get: version %q, %v, want nothing and EIO", r.Version, err)
	}
	if got := mustGet(t, s, "k"); got.Version != old.Version {
		t.Errorf("afterwards: version %q, want %q", got.Version, old.Version)
	}
}

// A key that is longer than the first read of a file costs a second read.
func TestKeyLongerThanABlock(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{})
	key := strings.Repeat("k", block+2000)
	first := mustPut(t, s, key, store.Record{Data: []byte("first"), Owner: strings.Repeat("o", block)})
	if err := s.Put(t.Context(), key, store.Record{Data: []byte("x"), Version: "another"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put in the place of another version: %v, want ErrConflict", err)
	}
	second := mustPut(t, s, key, store.Record{Data: []byte("second"), Version: first.Version})
	if string(second.Data) != "second" {
		t.Errorf("got %q, want what was put", second.Data)
	}
	require.NoError(t, s.Delete(t.Context(), key, second.Version))
	if got := mustGet(t, s, key); got.Version != "" {
		t.Errorf("after Delete: %q", got.Data)
	}
}

// What has a record's name and is no file is absent, is not counted, and gives way to a record.
func TestDirectoryUnderARecordsName(t *testing.T) {
	for name, change := range map[string]func(*Store) error{
		"Get":           func(s *Store) error { _, err := s.Get(t.Context(), "k"); return err },
		"Put":           func(s *Store) error { return s.Put(t.Context(), "k", store.Record{Data: []byte("x")}) },
		"Delete":        func(s *Store) error { return s.Delete(t.Context(), "k", "") },
		"DeleteExpired": func(s *Store) error { _, err := s.DeleteExpired(t.Context(), time.Now()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openIn(t, dir, Options{})
			require.NoError(t, os.Mkdir(pathOf(dir, "k"), 0o700))
			if err := change(s); err != nil {
				t.Errorf("%v, want no error", err)
			}
			if _, err := os.Lstat(pathOf(dir, "k")); (name == "Get" || name == "Delete") && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is still there: %v", err)
			}
			if name != "Put" {
				if got := mustGet(t, s, "k"); got.Version != "" {
					t.Errorf("got %q, want nothing", got.Data)
				}
				mustPut(t, s, "k", store.Record{Data: []byte("x")})
			}
			if got := mustGet(t, s, "k"); string(got.Data) != "x" {
				t.Errorf("got %q, want what was put", got.Data)
			}
			checkDir(t, dir, s, "afterwards")
		})
	}
}

// What is no record is removed by the Get that finds it, also where it is larger than the first read of a file, or no file at all.
func TestGetRemovesWhatIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	mustPut(t, s, "k", store.Record{Data: []byte(strings.Repeat("x", 3*block))})
	path := pathOf(dir, "k")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	file := func(content []byte) func(t *testing.T) {
		return func(t *testing.T) { require.NoError(t, os.WriteFile(path, content, 0o600)) }
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, whole, 0o600))
	for name, spoil := range map[string]func(t *testing.T){
		"nothing":                     file(nil),
		"one byte less than a head":   file(whole[:headSize-1]),
		"a head":                      file(whole[:headSize]),
		"less than the first read":    file(whole[:block-1]),
		"the first read":              file(whole[:block]),
		"a byte more":                 file(whole[:block+1]),
		"a byte less than the record": file(whole[:len(whole)-1]),
		"a byte more than the record": file(append(slices.Clone(whole), 0)),
		"a symlink to a record":       func(t *testing.T) { require.NoError(t, os.Symlink(elsewhere, path)) },
		"a symlink out of the store":  func(t *testing.T) { require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), path)) },
		"a symlink to nothing":        func(t *testing.T) { require.NoError(t, os.Symlink("nothing", path)) },
		"a directory":                 func(t *testing.T) { require.NoError(t, os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(path))
			spoil(t)
			if r := mustGet(t, s, "k"); r.Version != "" || r.Data != nil {
				t.Errorf("got version %q and %d bytes, want nothing", r.Version, len(r.Data))
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
	require.NoError(t, os.Rename(elsewhere, path))
	if r := mustGet(t, s, "k"); len(r.Data) != 3*block {
		t.Errorf("the whole file: %d bytes", len(r.Data))
	}
}

// The head of a file that is no record is an error, whatever part of it is there. No store has the directory open: its sweep would remove what the test puts there.
func TestReadHeadRefusesWhatIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	root, err := openRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	p := &place{fs: root}
	key := strings.Repeat("k", 2*block) // does not fit into the first read
	whole, err := encode(key, store.Record{Data: []byte("data")})
	require.NoError(t, err)
	_, name := nameOf(key)
	path := pathOf(dir, key)
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	if _, err := readHead(p.fs, name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v, want ErrNotExist", err)
	}
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	if h, err := readHead(p.fs, name); err != nil || h.key != key || h.data != 4 {
		t.Errorf("a record: a key of %d bytes, %d bytes of data, %v", len(h.key), h.data, err)
	}
	for _, n := range []int{0, 1, headSize - 1, headSize, block, block + 1, len(whole) - 1} {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
		if _, err := readHead(p.fs, name); !errors.Is(err, errCorrupt) {
			t.Errorf("the first %d bytes: %v, want errCorrupt", n, err)
		}
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	if _, err := readHead(p.fs, name); !errors.Is(err, errCorrupt) {
		t.Errorf("a directory: %v, want errCorrupt", err)
	}
}

// A record that fills the store to its bound fits; one that needs a block more does not.
func TestLargestRecord(t *testing.T) {
	const bound = minBytes
	for size, want := range map[int]error{
		bound - headSize - 1:     nil,
		bound - headSize - 1 + 1: store.ErrTooLarge,
	} {
		s := openIn(t, t.TempDir(), Options{MaxBytes: bound})
		if err := s.Put(t.Context(), "k", store.Record{Data: make([]byte, size)}); !errors.Is(err, want) {
			t.Errorf("%d bytes of data under a bound of %d: %v, want %v", size, bound, err, want)
		}
	}
}
