package file

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// canary is a file outside of the directory that the store must not touch.
func canary(t *testing.T) (path string, unharmed func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "canary")
	file, err := encode("k", store.Record{Data: []byte("sings")})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, file, 0o640))
	before, err := os.Lstat(path)
	require.NoError(t, err)
	return path, func() {
		t.Helper()
		now, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(now, file) {
			t.Errorf("the canary: %q, %v", now, err)
		}
		if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() || after.ModTime() != before.ModTime() {
			t.Errorf("the canary was touched: %v, %v", after, err)
		}
	}
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	_, name := nameOf("k")
	for planted, at := range map[string]string{"entry": name, "lock": name[:3] + lockName, "state": stateName, "alive": aliveName, "temporary": name[:3] + tempPrefix + "X"} {
		t.Run(planted, func(t *testing.T) {
			path, unharmed := canary(t)
			dir := filepath.Join(t.TempDir(), "store")
			s := openIn(t, dir, Options{})
			s.Close()
			os.Remove(filepath.Join(dir, at))
			require.NoError(t, os.Symlink(path, filepath.Join(dir, at)))
			s = openIn(t, dir, Options{})
			if r := mustGet(t, s, "k"); r.Version != "" {
				t.Errorf("a symlink was read: %q", r.Data)
			}
			if r := mustPut(t, s, "k", store.Record{Data: []byte("own")}); string(r.Data) != "own" {
				t.Errorf("got %q", r.Data)
			}
			os.Remove(filepath.Join(dir, name)) // planted while the store is open
			require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
			if r := mustGet(t, s, "k"); r.Version != "" {
				t.Errorf("a symlink was read: %q", r.Data)
			}
			mustPut(t, s, "k", store.Record{Data: []byte("own")})
			if _, err := s.DeleteExpired(t.Context(), time.Now()); err != nil {
				t.Errorf("DeleteExpired: %v", err)
			}
			require.NoError(t, s.Clear(t.Context()))
			unharmed()
		})
	}
	t.Run("shard", func(t *testing.T) {
		path, unharmed := canary(t)
		dir := filepath.Join(t.TempDir(), "store")
		s := openIn(t, dir, Options{})
		shard := filepath.Join(dir, name[:2])
		require.NoError(t, os.RemoveAll(shard))
		require.NoError(t, os.Symlink(filepath.Dir(path), shard))
		s.Get(t.Context(), "k")
		s.Put(t.Context(), "k", store.Record{Data: []byte("x")})
		s.Clear(t.Context())
		s.Close()
		if again, err := Open(dir, Options{}); err == nil {
			again.Put(t.Context(), "k", store.Record{Data: []byte("x")})
			again.Close()
		}
		unharmed()
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("there are %d files beside the canary, %v", len(entries)-1, err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		target := t.TempDir()
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.Symlink(target, dir))
		if s, err := Open(dir, Options{}); err == nil {
			s.Close()
			t.Error("a symlink was opened as if it were the directory")
		}
		if entries, _ := os.ReadDir(target); len(entries) != 0 {
			t.Errorf("%d files were made", len(entries))
		}
	})
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	tests := []struct {
		name string
		make func(dir string)
		want string
	}{
		{"others may write", func(dir string) { os.Chmod(dir, 0o777) }, "others may write"},
		{"the group may write", func(dir string) { os.Chmod(dir, 0o720) }, "others may write"},
		{"another user's", func(dir string) {
			if os.Chown(dir, os.Geteuid()+1, -1) != nil {
				os.Chmod(dir, 0o777) // who is not root cannot give things away
			}
		}, ""},
		{"other things", func(dir string) { os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600) }, "other things"},
		{"temporary things of another", func(dir string) { os.WriteFile(filepath.Join(dir, "tmp-thesis.tex"), nil, 0o600) }, "other things"},
		{"another format", func(dir string) { os.WriteFile(filepath.Join(dir, "format"), []byte("mp3"), 0o600) }, "not this package's"},
		{"another format, as long", func(dir string) { os.WriteFile(filepath.Join(dir, "format"), []byte("ply store/film 1\n"), 0o600) }, "not this package's"},
		{"another format, of zeros", func(dir string) { os.WriteFile(filepath.Join(dir, "format"), make([]byte, 18), 0o600) }, "not this package's"},
		{"a newer version, cut off", func(dir string) { os.WriteFile(filepath.Join(dir, "format"), []byte("ply store/file 2"), 0o600) }, "newer version"},
		{"an empty format among other things", func(dir string) {
			os.WriteFile(filepath.Join(dir, "format"), nil, 0o600)
			os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600)
		}, "other things"},
		{"a newer version", func(dir string) { os.WriteFile(filepath.Join(dir, "format"), []byte("ply store/file 2\n"), 0o600) }, "newer version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(dir)
			before, _ := os.ReadDir(dir)
			s, err := Open(dir, Options{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "file: ") {
				t.Errorf("the error is %q, want it to say %q", err, tt.want)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("%d files were made", len(after)-len(before))
			}
		})
	}
	for name, open := range map[string]func() (*Store, error){
		"no name": func() (*Store, error) { return Open("", Options{}) },
		"small":   func() (*Store, error) { return Open(t.TempDir(), Options{MaxBytes: 100}) },
		"a file": func() (*Store, error) {
			path := filepath.Join(t.TempDir(), "file")
			os.WriteFile(path, nil, 0o600)
			return Open(path, Options{})
		},
	} {
		if s, err := open(); err == nil || s != nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}
