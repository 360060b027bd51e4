package file

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// flaky is a file system that fails on demand: operation number k, or all from there on, or all of some sort.
type flaky struct {
	filesystem
	faults *faults
}

type faults struct {
	mu      sync.Mutex // guards the fields below
	ops     []string   // those that were tried while it was on
	on      bool
	first   int // the first to fail, counted from 1
	forGood bool
	only    string // the sort that fails, or "" for every one
	err     error
}

func (f *faults) check(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on {
		return nil
	}
	f.ops = append(f.ops, op)
	n := len(f.ops)
	if f.first > 0 && (n == f.first || f.forGood && n >= f.first) && (f.only == "" || strings.HasPrefix(op, f.only)) {
		return &fs.PathError{Op: op, Path: "injected", Err: f.err}
	}
	return nil
}

func (f *faults) turn(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

// failNext turns the faults on: of the operations from now on, the n-th fails.
func (f *faults) failNext(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops, f.first, f.on = nil, n, true
}

func (f flaky) Open(name string, flag int) (handle, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	if err := f.faults.check(op); err != nil {
		return nil, err
	}
	h, err := f.filesystem.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return flakyFile{h, f.faults}, nil
}

func (f flaky) Sub(name string) (filesystem, error) {
	if err := f.faults.check("sub"); err != nil {
		return nil, err
	}
	sub, err := f.filesystem.Sub(name)
	if err != nil {
		return nil, err
	}
	return flaky{sub, f.faults}, nil
}

func (f flaky) Scan(name string) (scanner, error) {
	if err := f.faults.check("scan"); err != nil {
		return nil, err
	}
	s, err := f.filesystem.Scan(name)
	if err != nil {
		return nil, err
	}
	return flakyScanner{s, f.faults}, nil
}

type flakyScanner struct {
	scanner
	faults *faults
}

func (f flakyScanner) Names() ([]string, error) {
	if err := f.faults.check("readdir"); err != nil {
		return nil, err
	}
	return f.scanner.Names()
}

func (f flakyScanner) Start(name string, b []byte) (int, error) {
	if err := f.faults.check("read"); err != nil {
		return 0, err
	}
	return f.scanner.Start(name, b)
}

func (f flaky) Mkdir(name string) error {
	if err := f.faults.check("mkdir"); err != nil {
		return err
	}
	return f.filesystem.Mkdir(name)
}

func (f flaky) Lstat(name string) (fs.FileInfo, error) {
	if err := f.faults.check("lstat"); err != nil {
		return nil, err
	}
	return f.filesystem.Lstat(name)
}

func (f flaky) Names(dir string) ([]string, error) {
	if err := f.faults.check("readdir"); err != nil {
		return nil, err
	}
	return f.filesystem.Names(dir)
}

func (f flaky) Rename(from, to string) error {
	if err := f.faults.check("rename"); err != nil {
		return err
	}
	return f.filesystem.Rename(from, to)
}

func (f flaky) Remove(name string) error {
	if err := f.faults.check("remove"); err != nil {
		return err
	}
	return f.filesystem.Remove(name)
}

func (f flaky) Touch(name string, now time.Time) error {
	if err := f.faults.check("touch"); err != nil {
		return err
	}
	return f.filesystem.Touch(name, now)
}

type flakyFile struct {
	handle
	faults *faults
}

func (f flakyFile) Read(b []byte) (int, error) {
	if err := f.faults.check("read"); err != nil {
		return 0, err
	}
	return f.handle.Read(b)
}

func (f flakyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.faults.check("readat"); err != nil {
		return 0, err
	}
	return f.handle.ReadAt(b, at)
}

// Write writes half of what it is given before it fails, as a full disk does.
func (f flakyFile) Write(b []byte) (int, error) {
	if err := f.faults.check("write"); err != nil {
		n, _ := f.handle.Write(b[:len(b)/2])
		return n, err
	}
	return f.handle.Write(b)
}

func (f flakyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.faults.check("writeat"); err != nil {
		n, _ := f.handle.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.handle.WriteAt(b, at)
}

func (f flakyFile) Stat() (fs.FileInfo, error) {
	if err := f.faults.check("stat"); err != nil {
		return nil, err
	}
	return f.handle.Stat()
}

func (f flakyFile) Sync() error {
	if err := f.faults.check("sync"); err != nil {
		return err
	}
	return f.handle.Sync()
}

// Close closes all the same: a descriptor that stays open is no fault of a disk.
func (f flakyFile) Close() error {
	err := f.faults.check("close")
	return errors.Join(f.handle.Close(), err)
}

func (f flakyFile) Lock(exclusive bool) (bool, error) {
	if err := f.faults.check("lock"); err != nil {
		return false, err
	}
	return f.handle.Lock(exclusive)
}

func openFlaky(t *testing.T, dir string, o Options, f *faults) *Store {
	t.Helper()
	s, err := open(dir, o, func(dir string) (filesystem, error) {
		root, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		return flaky{root, f}, nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// openQuiet opens a store whose sweeper has nothing to do for a minute, so that the faults meet the calls of the test alone.
func openQuiet(t *testing.T, dir string, o Options, f *faults) *Store {
	t.Helper()
	s := openFlaky(t, dir, o, f)
	<-s.swept
	return s
}

// story is a few changes, each of which may fail. It remembers what may be under each key.
type story struct {
	t   *testing.T
	s   *Store
	may map[string][]string // what a key may hold: "" stands for nothing
}

var long = flag.Bool("long", false, "the long runs: every operation fails once, 1,000 kills, four processes for a minute")

const storyBytes = 256 << 10

var storyKeys = []string{"a", "b", "c", "big", "gone"}

func bodyOf(key string, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s %d, ", key, n), 2000+n*100)
}

func (st *story) put(key string, n int) {
	r, err := st.s.Get(st.t.Context(), key)
	if err != nil {
		return
	}
	body := bodyOf(key, n)
	switch err := st.s.Put(st.t.Context(), key, store.Record{Data: body, Version: r.Version, Kind: store.KindEntry}); {
	case err == nil:
		st.may[key] = []string{string(body)}
	case st.s.sync: // a disk that fails for good keeps what it was told to drop, too
		st.may[key] = append(st.may[key], string(body), "")
	default: // the old one may have made room
		st.may[key] = append(st.may[key], "")
	}
}

func (st *story) delete(key string) {
	if err := st.s.Delete(st.t.Context(), key, ""); err == nil {
		st.may[key] = []string{""}
	} else {
		st.may[key] = append(st.may[key], "")
	}
}

// tell makes records, replaces and deletes some, and fills the store so that it has to make room.
func (st *story) tell() {
	st.put("a", 1)
	st.put("b", 1)
	st.put("a", 2)
	st.put("gone", 1)
	st.delete("gone")
	st.put("big", 50)
	for i := range 8 {
		st.put(fmt.Sprint("filler", i), 10)
	}
	st.put("c", 1)
	st.put("c", 2)
}

func begin(t *testing.T, s *Store) *story {
	st := &story{t: t, s: s, may: make(map[string][]string)}
	for _, key := range st.keys() {
		st.may[key] = []string{""}
	}
	return st
}

func (st *story) keys() []string {
	keys := slices.Clone(storyKeys)
	for i := range 8 {
		keys = append(keys, fmt.Sprint("filler", i))
	}
	return keys
}

// check reads everything with a store that has no faults.
func (st *story) check(s *Store, what string) {
	st.t.Helper()
	for _, key := range st.keys() {
		r, err := s.Get(st.t.Context(), key)
		if err != nil {
			st.t.Fatalf("%s: Get(%q): %v", what, key, err)
		}
		if r.Version != "" && !slices.Contains(st.may[key], string(r.Data)) {
			st.t.Fatalf("%s: %q holds %d bytes %.20q, which is none of what it may hold", what, key, len(r.Data), r.Data)
		}
	}
}

// checkDir compares what the store says of its size with the files, of which none may be temporary.
func checkDir(t *testing.T, dir string, s *Store, what string) {
	t.Helper()
	waitUntilRemoved(t, dir, what)
	records, size, err := s.Size(context.Background())
	if err != nil {
		t.Fatalf("%s: Size: %v", what, err)
	}
	var files, blocks int64
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			t.Fatalf("%s: %s was left", what, path)
		}
		if info, err := e.Info(); err == nil && isRecord(e.Name()) {
			files++
			blocks += charge(info.Size())
		}
		return nil
	})
	if files != records || blocks != size {
		t.Fatalf("%s: the store says that it has %d records with %d bytes, and has %d with %d", what, records, size, files, blocks)
	}
	if size > s.maxBytes {
		t.Fatalf("%s: %d bytes, want at most %d", what, size, s.maxBytes)
	}
	checkDue(t, dir, s, what)
}

// TestEveryOperationMayFail has the same story told again and again, and each time another operation of the file system fails:
// alone, and with all that come after it. Whatever a call returns then, no reader gets a wrong record, nothing stays behind, and the size is right.
// Without -long, only the first operations are tried one by one, which are those of a Put and of one in the place of another.
func TestEveryOperationMayFail(t *testing.T) {
	for _, o := range []Options{{MaxBytes: storyBytes}, {MaxBytes: storyBytes, Sync: true}} {
		first := 40
		if o.Sync {
			first = 0
		}
		t.Run(fmt.Sprintf("sync %t", o.Sync), func(t *testing.T) {
			clean := &faults{}
			s := openFlaky(t, t.TempDir(), o, clean)
			clean.turn(true)
			begin(t, s).tell()
			clean.turn(false)
			dir := t.TempDir()
			runs := 0
			for k := 1; k <= len(clean.ops); k++ {
				if k > first && k%67 != 0 && !*long {
					continue
				}
				errno := []error{syscall.EIO, syscall.ENOSPC, syscall.EACCES, syscall.EROFS, syscall.EMFILE}[k%5]
				for _, forGood := range []bool{false, true} {
					what := fmt.Sprintf("operation %d of %d (%s) fails with %v, all after it: %t", k, len(clean.ops), clean.ops[k-1], errno, forGood)
					failOne(t, dir, o, &faults{first: k, forGood: forGood, err: errno}, what)
					runs++
				}
			}
			t.Logf("%d operations, %d runs", len(clean.ops), runs)
		})
	}
}

// failOne tells the story with one fault, in an empty directory that was used before.
func failOne(t *testing.T, dir string, o Options, f *faults, what string) {
	t.Helper()
	s := openFlaky(t, dir, o, f)
	require.NoError(t, s.Clear(t.Context()))
	waitUntilRemoved(t, dir, what) // so that the fault meets the story
	st := begin(t, s)
	f.turn(true)
	st.tell()
	f.turn(false)
	st.check(s, what)
	st.put("a", 77)
	st.check(s, what+", afterwards")
	checkDir(t, dir, s, what)
	s.Close()
	again, err := Open(dir, o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer again.Close()
	st.check(again, what+", opened again")
	checkDir(t, dir, again, what+", opened again")
}

// A disk that is full for long leaves no more files behind with every Put.
func TestWritesThatFailLeaveNothing(t *testing.T) {
	for _, op := range []string{"write", "create", "rename", "close", "sync"} {
		dir := t.TempDir()
		f := &faults{only: op, forGood: true, first: 1, err: syscall.ENOSPC}
		s := openFlaky(t, dir, Options{Sync: true}, f)
		require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("there before")}))
		old, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		f.turn(true)
		for i := range 100 {
			if err := s.Put(t.Context(), "k", store.Record{Data: bytes.Repeat([]byte("x"), 10_000), Version: old.Version}); err == nil && op != "close" {
				t.Fatalf("%s fails, and Put does not", op)
			}
			s.Put(t.Context(), fmt.Sprint("new-", i), store.Record{Data: bytes.Repeat([]byte("x"), 10_000)})
		}
		var left []string
		filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if strings.HasPrefix(e.Name(), tempPrefix) {
				left = append(left, path)
			}
			return nil
		})
		if len(left) > 0 {
			t.Errorf("%s fails: %d temporary files are left", op, len(left))
		}
		f.turn(false)
		if r, err := s.Get(t.Context(), "k"); err != nil || op != "sync" && string(r.Data) != "there before" {
			t.Errorf("%s fails: the old record is %.20q, %v", op, r.Data, err)
		}
		checkDir(t, dir, s, op)
	}
}

// An error when the directory is opened is an error of Open, and the next Open finds nothing wrong.
func TestEveryOperationOfOpenMayFail(t *testing.T) {
	try := func(dir string, f *faults) error {
		f.turn(true)
		s, err := open(dir, Options{}, func(dir string) (filesystem, error) {
			root, err := openRoot(dir)
			if err != nil {
				return nil, err
			}
			return flaky{root, f}, nil
		})
		f.turn(false)
		if err == nil {
			s.Close()
		} else if !strings.HasPrefix(err.Error(), "file: ") {
			t.Errorf("the error is %q", err)
		}
		return err
	}
	count := &faults{}
	if err := try(t.TempDir(), count); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for k := 1; k <= len(count.ops); k += 1 + k/5 {
		dir := t.TempDir()
		if try(dir, &faults{first: k, err: syscall.EIO}) != nil {
			failed++
		}
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("after operation %d (%s) failed: %v", k, count.ops[k-1], err)
		}
		require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
		checkDir(t, dir, s, fmt.Sprint("operation ", k))
		s.Close()
	}
	if failed == 0 {
		t.Error("nothing failed")
	}
}
