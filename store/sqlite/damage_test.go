package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

const damageKeys = 24

// healthy returns the bytes of a file with records of all sizes.
func healthy(t *testing.T) []byte {
	t.Helper()
	path := file(t)
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	for i := range damageKeys {
		key := fmt.Sprint("key-", i)
		r := store.Record{Data: proof(key, i, 60+i*i*20), Kind: store.KindEntry, Label: "https://example.com/"}
		if i%3 == 1 {
			r.Kind, r.Owner = store.KindBody, fmt.Sprint("key-", i-1)
		}
		put(t, s, key, r)
	}
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// survey opens a file that may be damaged and reads everything. Whatever it finds must be right. It returns how many records there are.
func survey(t *testing.T, content []byte, what string) int {
	t.Helper()
	path := file(t)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := sqlite.Open(path, sqlite.Options{Sync: sqlite.SyncOff})
	if err != nil {
		if after, e := os.ReadFile(path); e != nil || !bytes.Equal(after, content) {
			t.Errorf("%s: Open returned %v and changed the file", what, err)
		}
		return -1
	}
	defer s.Close()
	there := 0
	for i := range damageKeys {
		key := fmt.Sprint("key-", i)
		r, err := s.Get(background, key)
		if err != nil || r.Version == "" {
			continue
		}
		there++
		if seq, err := proven(key, r.Data); err != nil || seq != i {
			t.Errorf("%s: a wrong record: %v", what, err)
		}
	}
	_ = s.Range(background, store.KindEntry, func(key string, r store.Record) bool {
		if _, err := proven(key, r.Data); err != nil || r.Kind != store.KindEntry {
			t.Errorf("%s: Range: a wrong record: %v", what, err)
		}
		return true
	})
	return there
}

// TestFlippedBytesAreNeverServed changes single bytes anywhere in the file: what Get returns is right or absent.
func TestFlippedBytesAreNeverServed(t *testing.T) {
	content := healthy(t)
	tried, lost, refused := 0, 0, 0
	for at := rand.N(*stride); at < len(content); at += *stride {
		damaged := bytes.Clone(content)
		damaged[at] ^= 1 << rand.N(8)
		there := survey(t, damaged, fmt.Sprint("byte ", at))
		tried++
		if there < 0 {
			refused++
		} else if there < damageKeys {
			lost++
		}
	}
	t.Logf("%d of %d bytes changed: %d cost records, %d files were refused, no record was wrong", tried, len(content), lost, refused)
	if lost == 0 {
		t.Error("no change cost anything: this test changes nothing that matters")
	}
}

// TestTruncatedFileServesNothingWrong cuts the file off, and TestSwappedPagesAreNeverServed mixes its pages up.
func TestTruncatedFileServesNothingWrong(t *testing.T) {
	content := healthy(t)
	for n := 0; n < len(content); n += 5 * 4096 {
		survey(t, content[:n], fmt.Sprint("length ", n))
		survey(t, content[:n+rand.N(4096)], fmt.Sprint("length about ", n))
		survey(t, append(bytes.Clone(content[:n]), make([]byte, len(content)-n)...), fmt.Sprint("zeros from ", n))
	}
}

func TestSwappedPagesAreNeverServed(t *testing.T) {
	content := healthy(t)
	pages := len(content) / 4096
	for range 20 {
		a, b := 4096*(1+rand.N(pages-1)), 4096*(1+rand.N(pages-1))
		swapped := bytes.Clone(content)
		copy(swapped[a:a+4096], content[b:b+4096])
		copy(swapped[b:b+4096], content[a:a+4096])
		survey(t, swapped, fmt.Sprintf("pages at %d and %d", a, b))
	}
}

// A file of ours that cannot be used is emptied, says why, and works again: when it is opened, and while it is.
func TestDamagedFileIsEmptiedAndReported(t *testing.T) {
	content := healthy(t)
	for name, harm := range map[string]func(b []byte){
		"the head":           func(b []byte) { copy(b, "Sqlite format 4\x00") },
		"the list of tables": func(b []byte) { clear(b[100:4096]) },
		"a table's name":     func(b []byte) { copy(b[bytes.Index(b, []byte("CREATE TABLE records")):], "CREATE TABLE recordz") },
		"all but the first page": func(b []byte) {
			rand.NewChaCha8([32]byte{}).Read(b[4096:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			damaged := bytes.Clone(content)
			harm(damaged)
			require.NoError(t, os.WriteFile(path, damaged, 0o600))
			var resets atomic.Int32
			s := open(t, path, sqlite.Options{OnReset: func(err error) {
				if err == nil {
					t.Error("OnReset without a reason")
				}
				resets.Add(1)
			}})
			testutil.Eventually(t, "the store works again", func() bool {
				r, err := s.Get(t.Context(), "key-7")
				if err == nil {
					err = s.Put(t.Context(), "key-7", store.Record{Data: proof("key-7", 1000, 5000), Version: r.Version})
				}
				if err != nil && errors.Is(err, store.ErrConflict) {
					t.Fatal(err)
				}
				return err == nil
			})
			testutil.Eventually(t, "it is told", func() bool { return resets.Load() > 0 })
			for i := range 30 {
				key := fmt.Sprint("new-", i)
				put(t, s, key, store.Record{Data: proof(key, i, 10_000)})
			}
			require.NoError(t, s.Close())
			sound(t, path)
			s = open(t, path, sqlite.Options{OnReset: func(err error) { t.Errorf("again: %v", err) }})
			if !has(t, s, "new-29") {
				t.Error("what was put after the reset is gone")
			}
		})
	}
}

// A record that does not match its checksum is absent, is removed, and can be put again.
func TestRecordThatFailsItsChecksumIsReplaced(t *testing.T) {
	for name, harm := range map[string]string{
		"data":    "UPDATE data SET bytes = CAST('x' || substr(bytes, 2) AS BLOB) WHERE id = (SELECT id FROM records WHERE key = 'k')",
		"no data": "DELETE FROM data WHERE id = (SELECT id FROM records WHERE key = 'k')",
		"other data": `UPDATE data SET bytes = (SELECT bytes FROM data WHERE id = (SELECT id FROM records WHERE key = 'l'))
			WHERE id = (SELECT id FROM records WHERE key = 'k')`,
		"version": "UPDATE records SET version = version + 1 WHERE key = 'k'",
		"expires": "UPDATE records SET expires_at = 99999999999999 WHERE key = 'k'",
		"kind":    "UPDATE records SET kind = 3 WHERE key = 'k'",
		"owner":   "UPDATE records SET owner = 'l' WHERE key = 'k'",
		"key":     "DELETE FROM records WHERE key = 'k'; UPDATE records SET key = 'k' WHERE key = 'l'; INSERT INTO records SELECT 99, 'l', 1, '', '', 1, 1, 1, NULL, 1, 1",
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			s := open(t, path, sqlite.Options{})
			put(t, s, "k", store.Record{Data: proof("k", 1, 10_000), Kind: store.KindEntry})
			put(t, s, "l", store.Record{Data: proof("l", 1, 10_000), Kind: store.KindEntry})
			_, err := raw(t, path).Exec(harm)
			require.NoError(t, err)
			records, err := s.GetMulti(t.Context(), []string{"k", "l"})
			require.NoError(t, err)
			if records[0].Version != "" {
				t.Error("GetMulti returned a record that does not match its checksum")
			}
			if name != "key" && records[1].Version == "" {
				t.Error("it cost another record")
			}
			if has(t, s, "k") {
				t.Error("Get returned a record that does not match its checksum")
			}
			require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: proof("k", 2, 100)}))
			sound(t, path)
		})
	}
}

// Totals that are wrong are set right: when the file is opened, and at the latest when nothing is left to make room with.
func TestWrongTotalsAreSetRight(t *testing.T) {
	for _, bytes := range []int64{-1 << 40, 0, 1 << 40} {
		path := file(t)
		s := open(t, path, sqlite.Options{MaxBytes: 1 << 20, OnReset: func(err error) { t.Errorf("reset: %v", err) }})
		for i := range 5 {
			put(t, s, fmt.Sprint("k-", i), store.Record{Data: proof("k", i, 10_000)})
		}
		wrong := fmt.Sprint("UPDATE totals SET records = 7, bytes = ", bytes)
		_, err := raw(t, path).Exec(wrong)
		require.NoError(t, err)
		if bytes > 0 {
			put(t, s, "new", store.Record{Data: proof("new", 1, 10_000)})
			sound(t, path)
		}
		require.NoError(t, s.Close())
		_, err = raw(t, path).Exec(wrong)
		require.NoError(t, err)
		s = open(t, path, sqlite.Options{MaxBytes: 1 << 20})
		testutil.Eventually(t, "the totals are right", func() bool {
			records, held, err := s.Size(t.Context())
			require.NoError(t, err)
			return records != 7 && held > 0 && held < 1<<20
		})
		sound(t, path)
	}
}
