package file

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// cacheHome has the user's cache directory be a new one that does not exist yet, and returns it.
func cacheHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	for _, name := range []string{"XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	t.Setenv("HOME", home)
	dir, err := os.UserCacheDir()
	require.NoError(t, err)
	return dir
}

func TestUserCacheDirIsMadeForItsOwnerAlone(t *testing.T) {
	base := cacheHome(t)
	for range 2 { // the second time it is there
		dir, err := UserCacheDir("mytool/http")
		require.NoError(t, err)
		if want := filepath.Join(base, "mytool", "http"); dir != want {
			t.Errorf("%s, want %s", dir, want)
		}
		for _, made := range []string{base, filepath.Dir(dir), dir} {
			info, err := os.Stat(made)
			require.NoError(t, err)
			if perm := info.Mode().Perm(); perm != 0o700 && runtime.GOOS != "windows" {
				t.Errorf("%s has the mode %v", made, perm)
			}
		}
		s, err := Open(dir, Options{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}

func TestUserCacheDirStaysBelowTheCacheDirectory(t *testing.T) {
	base := cacheHome(t)
	for _, name := range []string{"", ".", "..", "../x", "a/../../x", "/x", "a/../b", "a\x00b"} {
		if dir, err := UserCacheDir(name); err == nil {
			t.Errorf("%q: %s", name, dir)
		}
	}
	if _, err := os.Stat(base); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
}

func TestUserCacheDirWithoutOneIsAnError(t *testing.T) {
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData", "home"} {
		t.Setenv(name, "")
	}
	if dir, err := UserCacheDir("mytool"); err == nil {
		t.Errorf("made %s", dir)
	}
}

func TestOpenTempIsRemovedAtClose(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	s, err := OpenTemp(Options{})
	require.NoError(t, err)
	other, err := OpenTemp(Options{})
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("v")}))
	if r, err := other.Get(t.Context(), "k"); err != nil || r.Version != "" {
		t.Errorf("the other has %+v, %v", r, err)
	}
	info, err := os.Stat(s.dir)
	require.NoError(t, err)
	if perm := info.Mode().Perm(); perm != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("it has the mode %v", perm)
	}
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	if len(left) != 1 || filepath.Join(tmp, left[0].Name()) != other.dir {
		t.Errorf("%v is left, want the directory of the other", left)
	}
	require.NoError(t, other.Close())
}

func TestOpenTempWithBadOptionsLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	if _, err := OpenTemp(Options{MaxBytes: 1}); err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
