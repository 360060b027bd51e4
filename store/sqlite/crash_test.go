package sqlite_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

const (
	crashKeys  = 24
	crashBound = 4 << 20
)

// TestKilled kills a process that writes, over and over, and looks at what it has left:
// nothing wrong, nothing half done, everything that Put had returned from, and no piece of a body without its entry.
func TestKilled(t *testing.T) {
	path := file(t)
	for range *kills {
		said := writeAndKill(t, path)
		checkAfterKill(t, path, said)
		if t.Failed() {
			return
		}
	}
	sound(t, path)
}

// writeAndKill starts a process that writes, kills it after a while, and returns what it has put, by key.
func writeAndKill(t *testing.T, path string) map[string]int {
	t.Helper()
	cmd := process(t, "kill", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	ready, err := lines.ReadString('\n')
	if err != nil || ready != "ready\n" {
		_ = cmd.Wait()
		t.Fatalf("%q, %v: %s", ready, err, stderr.String())
	}
	<-time.After(rand.N(20 * time.Millisecond))
	require.NoError(t, cmd.Process.Kill())
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	_ = cmd.Wait()
	require.Empty(t, stderr.String())

	said := make(map[string]int)
	for line := range strings.Lines(string(rest)) {
		var key string
		var seq int
		if _, err := fmt.Sscanf(line, "%s %d\n", &key, &seq); err == nil {
			said[key] = seq
		}
	}
	return said
}

// checkAfterKill opens the file as the next process does.
func checkAfterKill(t *testing.T, path string, said map[string]int) {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{MaxBytes: crashBound, OrphanAge: time.Nanosecond, OnReset: func(err error) { t.Errorf("reset: %v", err) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for i := range crashKeys {
		key := fmt.Sprint("key-", i)
		r, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		if r.Version == "" {
			continue // evicted, or deleted
		}
		seq, err := proven(key, r.Data)
		if err != nil || seq < said[key] {
			t.Errorf("%s: change %d, %v; Put had returned from change %d", key, seq, err, said[key])
		}
		for p := range seq % 4 { // its pieces were put before it
			part := fmt.Sprintf("%s.%d.%d", key, seq, p)
			if r, err := s.Get(t.Context(), part); err != nil || r.Version == "" {
				t.Errorf("%s is missing (%v), and its entry is there", part, err)
			} else if _, err := proven(part, r.Data); err != nil {
				t.Error(err)
			}
		}
	}
	testutil.Eventually(t, "no piece is without its entry", func() bool {
		orphans := 0
		require.NoError(t, s.Range(t.Context(), store.KindBody, func(key string, r store.Record) bool {
			if _, err := proven(key, r.Data); err != nil {
				t.Error(err)
			}
			if !has(t, s, r.Owner) {
				orphans++
			}
			return true
		}))
		return orphans == 0
	})
}

// writeUntilKilled is the process: it puts and deletes entries, some of them with pieces, and says what it has put.
func writeUntilKilled(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{MaxBytes: crashBound})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		key := fmt.Sprint("key-", rand.N(crashKeys))
		old, err := s.Get(background, key)
		if err != nil {
			return err
		}
		if old.Version != "" {
			if _, err = proven(key, old.Data); err != nil {
				return err
			}
		}
		if err := writeNext(s, key, int(time.Now().UnixMicro()), old.Version); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func writeNext(s *sqlite.Store, key string, seq int, version string) error {
	if rand.N(10) == 0 {
		return s.Delete(background, key, version)
	}
	for p := range seq % 4 {
		part := fmt.Sprintf("%s.%d.%d", key, seq, p)
		if err := s.Put(background, part, store.Record{Data: proof(part, seq, 1000+rand.N(60_000)), Kind: store.KindBody, Owner: key}); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	if err := s.Put(background, key, store.Record{Data: proof(key, seq, 200+rand.N(8000)), Kind: store.KindEntry, Version: version}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(os.Stdout, "%s %d\n", key, seq)
	return err
}
