package sqlite_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// What takes long in full is short by default.
var (
	kills  = flag.Int("kills", 20, "how often TestKilled kills a process that writes")
	soak   = flag.Duration("soak", time.Second, "how long TestProcesses runs")
	large  = flag.Int64("large", 24<<20, "the bytes of the large bodies")
	stride = flag.Int("stride", 3001, "one in how many bytes of a file TestFlippedBytesAreNeverServed changes")
)

// children are what this test binary does as another process, by the name in its environment.
var children = map[string]func(path string) error{
	"kill":     writeUntilKilled,
	"share":    shareForAWhile,
	"large":    storeLarge,
	"response": fetchLarge,
}

const childEnv, childPath = "PLY_SQLITE_CHILD", "PLY_SQLITE_PATH"

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(childEnv)]
	if !ok {
		os.Exit(m.Run())
	}
	flag.Parse()
	if err := child(os.Getenv(childPath)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process returns the test binary as a process of this kind, with the flags of this one.
func process(t testing.TB, kind, path string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(binary, fmt.Sprintf("-soak=%v", *soak), fmt.Sprintf("-large=%d", *large))
	cmd.Env = append(os.Environ(), childEnv+"="+kind, childPath+"="+path)
	return cmd
}

// open opens the file at path and closes it at the end of the test.
func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "cache.db") }

// raw returns the database as any other program sees it, on one connection.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Exec("PRAGMA busy_timeout = 10000")
	require.NoError(t, err)
	return db
}

// sound checks, as another program, that the file is whole and that its books are right.
func sound(t testing.TB, path string) {
	t.Helper()
	db := raw(t, path)
	defer func() { _ = db.Close() }()
	for _, check := range []struct{ sql, want string }{
		{"PRAGMA integrity_check", "ok"},
		{"SELECT (SELECT count(*) || ' ' || coalesce(sum(size), 0) FROM records) = (SELECT records || ' ' || bytes FROM totals)", "1"},
		{"SELECT count(*) FROM records r LEFT JOIN data d ON d.id = r.id WHERE d.id IS NULL", "0"},
		{"SELECT count(*) FROM data d LEFT JOIN records r ON d.id = r.id WHERE r.id IS NULL", "0"},
	} {
		var got string
		require.NoError(t, db.QueryRow(check.sql).Scan(&got))
		if got != check.want {
			t.Errorf("%s: %s, want %s", check.sql, got, check.want)
		}
	}
}

// proof returns n bytes that say for themselves where they belong: the key, a number, and a sum over it all.
func proof(key string, seq, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %d\n", key, seq)
	filler := make([]byte, max(0, n-b.Len()-sha256.Size))
	rand.NewChaCha8(sha256.Sum256(b.Bytes())).Read(filler)
	b.Write(filler)
	sum := sha256.Sum256(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// proven returns the number in what is stored under key, or says why it is not what was put there.
func proven(key string, data []byte) (seq int, err error) {
	if len(data) < sha256.Size {
		return 0, fmt.Errorf("%q: %d bytes", key, len(data))
	}
	text, tail := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], tail) {
		return 0, fmt.Errorf("%q: the sum of %d bytes is wrong", key, len(data))
	}
	var name string
	if _, err := fmt.Sscanf(string(text[:min(len(text), 200)]), "%s %d\n", &name, &seq); err != nil {
		return 0, err
	}
	if name != key {
		return 0, fmt.Errorf("%q: the record belongs to %q", key, name)
	}
	return seq, nil
}

// put stores data under key, whatever is there.
func put(t testing.TB, s *sqlite.Store, key string, r store.Record) {
	t.Helper()
	old, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	r.Version = old.Version
	require.NoError(t, s.Put(t.Context(), key, r))
}

func has(t testing.TB, s *sqlite.Store, key string) bool {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return r.Version != ""
}

var background = context.Background()
