package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

func init() { children["reads"] = readWhatIsThere }

// readWhatIsThere is another process that opens the file, and reads and writes. What it finds damaged it may say, and comes back.
func readWhatIsThere(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		var err error
		for i := 0; i < 40 && err == nil; i++ {
			err = usesKey(s, fmt.Sprint("other-", i))
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// usesKey reads a record, which is right or absent, and puts another one there.
func usesKey(s *sqlite.Store, key string) error {
	r, err := s.Get(background, key)
	if err != nil {
		return err
	}
	if r.Version != "" {
		if _, err := proven(key, r.Data); err != nil {
			return fmt.Errorf("a wrong record: %w", err)
		}
	}
	return s.Put(background, key, store.Record{Data: proof(key, 2, 5000), Version: r.Version})
}

// A file that is truncated, emptied or removed while it is open loses records and never returns a wrong one. The store recovers, here and in new processes.
func TestFileTruncatedWhileOpenRecovers(t *testing.T) {
	for _, name := range []string{"", "-wal", "-shm"} {
		for what, harm := range map[string]func(path string, size int64) error{
			"emptied":          func(path string, _ int64) error { return os.Truncate(path, 0) },
			"a byte":           func(path string, _ int64) error { return os.Truncate(path, 1) },
			"a page":           func(path string, _ int64) error { return os.Truncate(path, 4096) },
			"half":             func(path string, size int64) error { return os.Truncate(path, size/2) },
			"all but a byte":   func(path string, size int64) error { return os.Truncate(path, size-1) },
			"emptied, as long": func(path string, size int64) error { return errors.Join(os.Truncate(path, 0), os.Truncate(path, size)) },
			"other bytes":      func(path string, size int64) error { return overwrite(path, size) },
			"removed":          func(path string, _ int64) error { return os.Remove(path) },
		} {
			t.Run(fmt.Sprintf("cache.db%s %s", name, what), func(t *testing.T) {
				t.Parallel()
				path := file(t)
				s := open(t, path, sqlite.Options{})
				for i := range 40 {
					put(t, s, fmt.Sprint("key-", i), store.Record{Data: proof(fmt.Sprint("key-", i), 1, 5000)})
				}
				info, err := os.Stat(path + name)
				require.NoError(t, err)
				require.NoError(t, harm(path+name, info.Size()))
				var failed error
				comesBack := func() bool {
					for i := range 40 {
						if failed = usesKey(s, fmt.Sprint("key-", i)); failed != nil {
							if strings.Contains(failed.Error(), "a wrong record") {
								t.Fatal(failed)
							}
							return false
						}
					}
					return true
				}
				defer func() {
					if t.Failed() {
						t.Log(failed)
					}
				}()
				testutil.Eventually(t, "the store works again", comesBack)
				if out, err := process(t, "reads", path).CombinedOutput(); err != nil {
					t.Errorf("another process: %v: %s", err, out)
				}
				testutil.Eventually(t, "the store works beside another process", comesBack)
				require.NoError(t, s.Close())
				// A page that both had in memory, or did not need, may still be damaged. Who reads it from the file finds out, and comes back, too.
				s = open(t, path, sqlite.Options{})
				testutil.Eventually(t, "the store works when it is opened again", comesBack)
			})
		}
	}
}

func overwrite(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(strings.Repeat("x", int(size))))
	return errors.Join(err, f.Close())
}

// The file bears our mark as soon as it is made, not only when the log is moved into it: without its log it is still known as one that may be made anew.
func TestNewFileIsMarkedAtOnce(t *testing.T) {
	path := file(t)
	open(t, path, sqlite.Options{})
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	if len(content) < 72 || string(content[68:72]) != "plyS" {
		t.Errorf("%d bytes, without the mark", len(content))
	}
}

// A log that is removed is left at once, with what it holds: what one connection writes to it, connections that come later do not see.
func TestLogRemovedWhileOpen(t *testing.T) {
	path := file(t)
	s := open(t, path, sqlite.Options{})
	put(t, s, "before", store.Record{Data: proof("before", 1, 5000)})
	require.NoError(t, os.Remove(path+"-wal"))
	require.NoError(t, s.Put(background, "after", store.Record{Data: proof("after", 1, 5000)}))
	other := open(t, path, sqlite.Options{})
	for _, key := range []string{"before", "after"} {
		r, err := other.Get(background, key)
		require.NoError(t, err)
		if _, err := proven(key, r.Data); err != nil {
			t.Errorf("%s for others: %v", key, err)
		}
	}
}
