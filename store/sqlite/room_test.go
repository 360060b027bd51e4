package sqlite_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// body puts an entry with pieces of 100,000 bytes.
func body(t *testing.T, s *sqlite.Store, key string, pieces int) {
	t.Helper()
	for i := range pieces {
		part := fmt.Sprintf("%s.%d", key, i)
		put(t, s, part, store.Record{Data: proof(part, i, 100_000), Kind: store.KindBody, Owner: key})
	}
	put(t, s, key, store.Record{Data: proof(key, 1, 300), Kind: store.KindEntry, Label: "https://example.com/" + key})
}

func pieces(t *testing.T, s *sqlite.Store, owner string) (n int) {
	t.Helper()
	require.NoError(t, s.Range(t.Context(), store.KindBody, func(_ string, r store.Record) bool {
		if r.Owner == owner {
			n++
		}
		return true
	}))
	return n
}

// The entry that was used longest ago goes first, with all its pieces, however often those were read.
func TestEvictionTakesAnEntryWithItsParts(t *testing.T) {
	s := open(t, file(t), sqlite.Options{MaxBytes: 2 << 20})
	for _, key := range []string{"a", "b", "c"} {
		body(t, s, key, 6)
	}
	require.True(t, has(t, s, "a"))
	require.True(t, has(t, s, "b.0"))
	body(t, s, "d", 4)
	if !has(t, s, "a") || has(t, s, "b") || !has(t, s, "c") || !has(t, s, "d") {
		t.Errorf("a %t, b %t, c %t, d %t, want all but b, which was used longest ago", has(t, s, "a"), has(t, s, "b"), has(t, s, "c"), has(t, s, "d"))
	}
	testutil.Eventually(t, "the pieces go with their entry", func() bool { return pieces(t, s, "b") == 0 })
	for _, key := range []string{"a", "c"} {
		if n := pieces(t, s, key); n != 6 {
			t.Errorf("%s has %d of its 6 pieces", key, n)
		}
	}
}

// What was read in the last run is not what was used longest ago.
func TestUsesSurviveARestart(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{MaxBytes: 1 << 20})
	for i := range 8 {
		put(t, s, fmt.Sprint(i), store.Record{Data: proof(fmt.Sprint(i), 1, 100_000)})
	}
	require.True(t, has(t, s, "0"))
	require.NoError(t, s.Close())
	s = open(t, path, sqlite.Options{MaxBytes: 1 << 20})
	for i := range 4 {
		put(t, s, fmt.Sprint("new-", i), store.Record{Data: proof("new", 1, 100_000)})
	}
	if !has(t, s, "0") || has(t, s, "1") {
		t.Errorf("0 %t, 1 %t, want the one that was read before the restart", has(t, s, "0"), has(t, s, "1"))
	}
}

// A body that is larger than the store is given up as soon as the store is full of it, and costs no more than it has to.
func TestLargerThanTheStore(t *testing.T) {
	s := open(t, file(t), sqlite.Options{MaxBytes: 1 << 20})
	for i := range 100 {
		part := fmt.Sprint("part-", i)
		err := s.Put(t.Context(), part, store.Record{Data: proof(part, i, 100_000), Kind: store.KindBody, Owner: "huge"})
		if err != nil {
			require.ErrorIs(t, err, store.ErrTooLarge)
			if i < 8 {
				t.Errorf("given up after %d pieces", i)
			}
			return
		}
	}
	t.Error("a store of 1 MiB took a body of 10 MB")
}

// Parts whose entry never comes, because their process was killed, are removed, and those of a download that goes on are not.
func TestPartsWithoutOwnerAreReclaimed(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	body(t, s, "whole", 3)
	for i := range 20 {
		put(t, s, fmt.Sprint("lost.", i), store.Record{Data: proof("lost", i, 50_000), Kind: store.KindBody, Owner: "lost"})
	}
	require.NoError(t, s.Close())
	s = open(t, path, sqlite.Options{})
	_, err := s.DeleteExpired(t.Context(), time.Now())
	require.NoError(t, err)
	if n := pieces(t, s, "lost"); n != 20 {
		t.Errorf("of 20 pieces that are minutes old at most, %d are there", n)
	}
	require.NoError(t, s.Close())
	s = open(t, path, sqlite.Options{OrphanAge: time.Millisecond})
	testutil.Eventually(t, "orphans are removed", func() bool { return pieces(t, s, "lost") == 0 })
	if n := pieces(t, s, "whole"); n != 3 {
		t.Errorf("of 3 pieces with an entry %d are there", n)
	}
	records, _, err := s.Size(t.Context())
	require.NoError(t, err)
	if records != 4 {
		t.Errorf("%d records, want 4", records)
	}
}

// The pieces of what is deleted go too, soon.
func TestDeleteTakesPieces(t *testing.T) {
	s := open(t, file(t), sqlite.Options{})
	body(t, s, "a", 20)
	body(t, s, "b", 2)
	require.NoError(t, s.Delete(t.Context(), "a", ""))
	testutil.Eventually(t, "the pieces go with their entry", func() bool { return pieces(t, s, "a") == 0 })
	body(t, s, "a", 3) // under the same owner, later
	testutil.Eventually(t, "they stay", func() bool {
		s.DeleteExpired(t.Context(), time.Now())
		return pieces(t, s, "a") == 3
	})
	if n := pieces(t, s, "b"); n != 2 {
		t.Errorf("of 2 pieces of another entry %d are there", n)
	}
}

// The file gives back what it does not need.
func TestFileShrinksWhenRecordsGo(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{Sync: sqlite.SyncOff})
	size := func() int64 {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Size()
	}
	fill := func() {
		for i := range 40 {
			put(t, s, fmt.Sprint("k-", i), store.Record{Data: proof("k", i, 250_000), Expires: time.Now().Add(time.Hour)})
		}
	}
	for name, forget := range map[string]func(){
		"cleared": func() { require.NoError(t, s.Clear(t.Context())) },
		"expired": func() {
			n, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour))
			require.NoError(t, err)
			require.Equal(t, 40, n)
		},
	} {
		fill()
		forget()
		testutil.Eventually(t, name+": the file is small again", func() bool {
			raw := raw(t, path)
			_, err := raw.Exec("PRAGMA wal_checkpoint(PASSIVE)") // as any process may
			require.NoError(t, err)
			require.NoError(t, raw.Close())
			return size() < 2<<20
		})
	}
	sound(t, path)
}

// A smaller bound holds from the next Open on.
func TestBoundBecomesSmaller(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	for i := range 40 {
		put(t, s, fmt.Sprint("k-", i), store.Record{Data: proof("k", i, 100_000)})
	}
	require.NoError(t, s.Close())
	s = open(t, path, sqlite.Options{MaxBytes: 1 << 20})
	testutil.Eventually(t, "the new bound holds", func() bool {
		_, held, err := s.Size(t.Context())
		require.NoError(t, err)
		return held <= 1<<20
	})
	if !has(t, s, "k-39") || has(t, s, "k-0") {
		t.Error("want the newest there, and not the oldest")
	}
}

// What people see in a shell, and may do there.
func TestShell(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	body(t, s, "abc", 3)
	put(t, s, "m", store.Record{Data: []byte("x"), Kind: store.KindGeneration, Label: "a\x00b\x1b[31m\u009b31m\u202e\n" + strings.Repeat("long ", 1000)})
	db := raw(t, path)
	var url, used, expires, stored, key string
	var size, pieces int
	require.NoError(t, db.QueryRow("SELECT url, size, used, stored, coalesce(expires, 'never'), pieces, key FROM entries").Scan(&url, &size, &used, &stored, &expires, &pieces, &key))
	if url != "https://example.com/abc" || pieces != 3 || size < 300_000 || expires != "never" || key != "abc" || !strings.HasPrefix(used, fmt.Sprint(time.Now().UTC().Year())) {
		t.Errorf("entries: %s %d %s %s %s %d %s", url, size, used, stored, expires, pieces, key)
	}
	var kinds string
	require.NoError(t, db.QueryRow("SELECT group_concat(kind || ' ' || records, ', ') FROM (SELECT * FROM contents ORDER BY kind)").Scan(&kinds))
	if kinds != "body 3, entry 1, mark 1" {
		t.Errorf("contents: %s", kinds)
	}
	var label string
	require.NoError(t, db.QueryRow("SELECT url FROM records WHERE key = 'm'").Scan(&label))
	if len(label) > 1024 || strings.ContainsAny(label, "\x00\x1b\u009b\u202e\n") {
		t.Errorf("label %q, want it cut off and printable", label)
	}
	_, err := db.Exec("DELETE FROM records WHERE url = 'https://example.com/abc'")
	require.NoError(t, err)
	if has(t, s, "abc") {
		t.Error("a record that was deleted in a shell is still there")
	}
	sound(t, path)
	if shell, err := exec.LookPath("sqlite3"); err == nil {
		out, err := exec.Command(shell, path, "SELECT kind, expired FROM contents", ".schema records").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "mark|0") || !strings.Contains(string(out), "-- what the cache asks for") {
			t.Errorf("sqlite3: %v: %s", err, out)
		}
	}
}
