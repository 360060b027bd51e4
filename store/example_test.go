package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// counting is a wrapper that counts how many records are read.
type counting struct {
	store.Store
	reads atomic.Int64
}

func (c *counting) Unwrap() store.Store { return c.Store }

func (c *counting) Get(ctx context.Context, key string) (store.Record, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counting) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	inner, ok := store.As[store.MultiGetter](c.Store)
	if !ok {
		return nil, fmt.Errorf("counting: %w", errors.ErrUnsupported)
	}
	c.reads.Add(int64(len(keys)))
	return inner.GetMulti(ctx, keys)
}

// A wrapper has an optional interface if it implements it and the store that it wraps has it, too.
func ExampleAs() {
	ctx := context.Background()
	counted := &counting{Store: storetest.NewMap(0)}
	if multi, ok := store.As[store.MultiGetter](counted); ok {
		multi.GetMulti(ctx, []string{"a", "b", "c"})
	}
	_, clears := store.As[store.Clearer](counted)
	fmt.Println("records read:", counted.reads.Load())
	fmt.Println("clears:", clears) // the Map below would, but counting does not pass it on
	// Output:
	// records read: 3
	// clears: false
}

// A program has its store in its configuration. The packages of all stores that it may name are imported.
func ExampleOpenURL() {
	s, err := store.OpenURL(context.Background(), "memory:?max_bytes=64MiB")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	c, err := cache.New(cache.Options{Store: s})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	_, err = store.OpenURL(context.Background(), "postgres://cache.internal/app")
	fmt.Println(err)
	// Output:
	// store: nothing is registered for postgres URLs: import _ "github.com/plyhttp/ply/store/postgres"
}
