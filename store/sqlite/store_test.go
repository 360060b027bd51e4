package sqlite_test

import (
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
	"github.com/plyhttp/ply/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, file(t), sqlite.Options{Sync: sqlite.SyncOff}) })
}

func TestStoreShared(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		path := file(t)
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, path, sqlite.Options{Sync: sqlite.SyncOff})
		}
		return stores
	})
}

func TestStoreBounded(t *testing.T) {
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return open(t, file(t), sqlite.Options{MaxBytes: maxBytes, Sync: sqlite.SyncOff})
	})
}
