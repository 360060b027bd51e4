package storetest_test

import (
	"testing"

	"github.com/plyhttp/ply/middleware/cache/storetest"
	"github.com/plyhttp/ply/store"
)

var (
	_ store.Store       = (*storetest.Map)(nil)
	_ store.MultiGetter = (*storetest.Map)(nil)
	_ store.Ranger      = (*storetest.Map)(nil)
	_ store.Clearer     = (*storetest.Map)(nil)
	_ store.Expirer     = (*storetest.Map)(nil)
	_ store.Sizer       = (*storetest.Map)(nil)
	_ store.Notifier    = (*storetest.Map)(nil)
)

func TestMap(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMap(0) })
}

func TestMapShared(t *testing.T) {
	storetest.RunShared(t, func(_ *testing.T, n int) []store.Store {
		first := storetest.NewMap(0)
		stores := []store.Store{first}
		for len(stores) < n {
			stores = append(stores, first.Open())
		}
		return stores
	})
}

func TestMapBounded(t *testing.T) {
	storetest.RunBounded(t, func(_ *testing.T, maxBytes int64) store.Store { return storetest.NewMap(maxBytes) })
}
