package file_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/storetest"
)

var (
	_ store.Ranger  = (*file.Store)(nil)
	_ store.Clearer = (*file.Store)(nil)
	_ store.Expirer = (*file.Store)(nil)
	_ store.Sizer   = (*file.Store)(nil)
)

func open(t testing.TB, dir string, o file.Options) *file.Store {
	t.Helper()
	s, err := file.Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir(), file.Options{}) })
}

// Four stores on one directory have nothing in common but its files: their locks are those of other processes.
func TestShared(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		dir := filepath.Join(t.TempDir(), "made", "here")
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, dir, file.Options{})
		}
		return stores
	})
}

func TestBounded(t *testing.T) {
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return open(t, t.TempDir(), file.Options{MaxBytes: maxBytes})
	})
}
