package storetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
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

func ExampleNewMap() {
	m := storetest.NewMap(1 << 20)
	other := m.Open() // as another process would
	stop := other.Notify(func(key string) { fmt.Println("changed:", key) })
	defer stop()
	ctx := context.Background()
	fmt.Println(m.Put(ctx, "k", store.Record{Data: []byte("x")}))
	fmt.Println(m.Put(ctx, "k", store.Record{Data: []byte("y")}))
	// Output:
	// changed: k
	// <nil>
	// store: the record has been changed meanwhile
}
