package file

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

func openIn(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	<-s.counted // what a test does to the files by hand from here on meets its own calls, not the count behind Open
	return s
}

func mustPut(t testing.TB, s *Store, key string, r store.Record) store.Record {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, r))
	return mustGet(t, s, key)
}

func mustGet(t testing.TB, s *Store, key string) store.Record {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return r
}

// pathOf returns the file of a record.
func pathOf(dir, key string) string {
	_, name := nameOf(key)
	return filepath.Join(dir, name)
}

// A changed file is no record: every bit of it counts, and so does its length. Whatever is there, a Put replaces it.
func TestEveryFlippedBitAndTruncationIsAbsent(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	mustPut(t, s, "k", store.Record{Data: bytes.Repeat([]byte("data "), 8), Kind: store.KindBody, Owner: "o", Label: "l", Expires: time.Now().Add(time.Hour)})
	path := pathOf(dir, "k")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	absent := func(what string, file []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, file, 0o600))
		if r, err := s.Get(t.Context(), "k"); err != nil || r.Version != "" {
			t.Fatalf("%s: got %q, %v, want nothing", what, r.Data, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: the file is still there", what)
		}
	}
	for bit := range 8 * len(whole) {
		file := bytes.Clone(whole)
		file[bit/8] ^= 1 << (bit % 8)
		absent("a flipped bit", file)
	}
	for n := range whole {
		absent("cut off", whole[:n])
		absent("zeros at the end", append(bytes.Clone(whole[:n]), make([]byte, len(whole)-n)...))
	}
	absent("a byte more", append(bytes.Clone(whole), 0))
	absent("much more", append(bytes.Clone(whole), make([]byte, 100_000)...))

	require.NoError(t, os.WriteFile(path, whole, 0o600))
	if r := mustGet(t, s, "k"); !bytes.HasPrefix(r.Data, []byte("data")) {
		t.Errorf("the file as it was: %q", r.Data)
	}
	_, err = s.DeleteExpired(t.Context(), time.Now()) // as the worker of a store does
	require.NoError(t, err)
	checkDir(t, dir, s, "afterwards")
}

// A Put replaces a record that cannot be read, without a Get before it.
func TestWhatCannotBeReadIsReplaced(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	path := pathOf(dir, "k")
	for name, spoil := range map[string]func(whole []byte) []byte{
		"head": func(b []byte) []byte { b[10] ^= 1; return b },
		"data": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"none": func([]byte) []byte { return nil },
	} {
		require.NoError(t, s.Delete(t.Context(), "k", ""))
		mustPut(t, s, "k", store.Record{Data: []byte("old")})
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, spoil(whole), 0o600))
		if err := s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Version: "a-version"}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: Put in the place of a version that is not there: %v, want ErrConflict", name, err)
		}
		if r := mustPut(t, s, "k", store.Record{Data: []byte("new")}); string(r.Data) != "new" {
			t.Errorf("%s: got %q", name, r.Data)
		}
		_, err = s.DeleteExpired(t.Context(), time.Now()) // as the worker of a store does
		require.NoError(t, err)
		checkDir(t, dir, s, name)
	}
}

// A file that was moved is a record of another key.
func TestSwappedFilesAreAbsent(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	mustPut(t, s, "a", store.Record{Data: []byte("of a")})
	file, err := os.ReadFile(pathOf(dir, "a"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(pathOf(dir, "b")), 0o700))
	require.NoError(t, os.WriteFile(pathOf(dir, "b"), file, 0o600))
	if r := mustGet(t, s, "b"); r.Version != "" {
		t.Errorf("under another key: %q", r.Data)
	}
	if r := mustPut(t, s, "b", store.Record{Data: []byte("of b")}); string(r.Data) != "of b" {
		t.Errorf("got %q", r.Data)
	}
}

// A power failure may leave the beginning of the format, or zeros in the place of its bytes. Then it is written anew, and nothing is lost.
func TestTornFormatIsWrittenAnew(t *testing.T) {
	for n := range len(formatOfThis) {
		for _, zeros := range []int{0, len(formatOfThis) - n} {
			dir := t.TempDir()
			s := openIn(t, dir, Options{})
			mustPut(t, s, "k", store.Record{Data: []byte("x")})
			s.Close()
			format := filepath.Join(dir, formatName)
			require.NoError(t, os.WriteFile(format, []byte(formatOfThis[:n]+strings.Repeat("\x00", zeros)), 0o600))
			s, err := Open(dir, Options{})
			if err != nil {
				t.Errorf("%d bytes and %d zeros: %v", n, zeros, err)
				continue
			}
			if r := mustGet(t, s, "k"); string(r.Data) != "x" {
				t.Errorf("%d bytes and %d zeros: the record is %q", n, zeros, r.Data)
			}
			s.Close()
			if text, err := os.ReadFile(format); err != nil || string(text) != formatOfThis {
				t.Errorf("%d bytes and %d zeros: the format is %q, %v", n, zeros, text, err)
			}
		}
	}
}

// The format is on the disk before anything else is: the file, and its name.
func TestFormatIsSynced(t *testing.T) {
	dir := t.TempDir()
	root, err := openRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	seen := &faults{on: true}
	require.NoError(t, checkFormat(flaky{root, seen}))
	want := []string{"create", "write", "sync", "rename", "open", "sync"}
	for _, op := range seen.ops {
		if len(want) > 0 && op == want[0] {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("no %s at its place in %q", want[0], seen.ops)
	}
	seen.ops = nil
	require.NoError(t, checkFormat(flaky{root, seen}))
	if slices.Contains(seen.ops, "sync") {
		t.Errorf("what is there is synced again: %q", seen.ops)
	}
}

// The files of every version stay readable.
func TestFilesOfEveryVersionAreReadable(t *testing.T) {
	file, err := os.ReadFile("testdata/v1.record")
	if *update {
		file, err = encode("golden.key:1_-", store.Record{
			Data: []byte("golden data\x00\xff"), Kind: store.KindBody, Owner: "golden.owner", Label: "https://example.com/", Expires: time.UnixMilli(4102444800123),
		})
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile("testdata/v1.record", file, 0o644))
	}
	require.NoError(t, err)
	h, r, err := decode(file)
	if err != nil || h.key != "golden.key:1_-" || string(r.Data) != "golden data\x00\xff" || r.Kind != store.KindBody || r.Owner != "golden.owner" ||
		r.Expires.UnixMilli() != 4102444800123 || r.Version != hex.EncodeToString(file[28:44]) {
		t.Errorf("got %+v, %+v, %v", h, r, err)
	}
}

var update = flag.Bool("update", false, "write the golden file of the current version")

// FuzzDecode: what decode takes is what encode makes, and a length that is a lie gets no room.
func FuzzDecode(f *testing.F) {
	file, _ := encode("k", store.Record{Data: []byte("data"), Owner: "o", Label: "l", Expires: time.Now()})
	f.Add(file, "k", []byte("data"))
	f.Add([]byte("plyf\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "k", []byte{0})
	f.Fuzz(func(t *testing.T, file []byte, key string, data []byte) {
		if h, r, err := decode(file); err == nil {
			if int64(len(file)) != h.size || len(r.Data) != int(h.data) || !bytes.HasSuffix(file, r.Data) {
				t.Fatalf("%q is %+v", file, h)
			}
		}
		if key == "" || len(key) > maxName {
			return
		}
		made, err := encode(key, store.Record{Data: data, Owner: key, Kind: 7})
		if err != nil {
			t.Fatal(err)
		}
		h, r, err := decode(made)
		if err != nil || h.key != key || h.owner != key || !bytes.Equal(r.Data, data) || r.Kind != 7 {
			t.Fatalf("%q came back as %+v, %q, %v", data, h, r.Data, err)
		}
		if _, err := decodeHead(made[:headSize+2*len(key)], int64(len(made))); err != nil {
			t.Fatalf("the head alone: %v", err)
		}
	})
}
