package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache/storetest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// open opens the file at path and closes it at the end of the test.
func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "cache.db") }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, file(t), sqlite.Options{}) })
}

func TestStoreShared(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		path := file(t)
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, path, sqlite.Options{})
		}
		return stores
	})
}

func TestStoreBounded(t *testing.T) {
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return open(t, file(t), sqlite.Options{MaxBytes: maxBytes})
	})
}
