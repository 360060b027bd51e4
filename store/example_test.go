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

// Each change names the version that it replaces. Of two callers with one version, one succeeds.
func ExampleStore() {
	ctx := context.Background()
	var s store.Store = storetest.NewMap(0)
	if err := s.Put(ctx, "k", store.Record{Data: []byte("first")}); err != nil {
		fmt.Println(err)
		return
	}
	seen, err := s.Get(ctx, "k")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Put(ctx, "k", store.Record{Data: []byte("mine"), Version: seen.Version}))
	fmt.Println(s.Put(ctx, "k", store.Record{Data: []byte("theirs"), Version: seen.Version}))
	absent, err := s.Get(ctx, "nothing here")
	fmt.Println(absent.Version == "", err)
	// Output:
	// <nil>
	// store: the record has been changed meanwhile
	// true <nil>
}

// A key comes from the environment or a secrets manager; what is wrong with it is said without showing it.
func ExampleParseEncryptionKey() {
	_, err := store.ParseEncryptionKey("4be1d2ba09f2c357")
	fmt.Println(err)
	// Output: store: a key is 64 hexadecimal digits: openssl rand -hex 32 prints one
}

// To rotate keys, put the new one first. What the old one has encrypted can be read until it has expired.
func ExampleEncrypted_rotation() {
	ctx, disk := context.Background(), storetest.NewMap(0)
	oldKey, newKey := store.EncryptionKey{1}, store.EncryptionKey{2} // 32 random bytes, in earnest

	before, err := store.Encrypted(disk, oldKey)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := before.Put(ctx, "k", store.Record{Data: []byte("secret")}); err != nil {
		fmt.Println(err)
		return
	}
	for _, keys := range [][]store.EncryptionKey{{newKey, oldKey}, {newKey}} {
		after, err := store.Encrypted(disk, keys...)
		if err != nil {
			fmt.Println(err)
			return
		}
		r, err := after.Get(ctx, "k")
		fmt.Printf("%d keys: %q %v\n", len(keys), r.Data, err)
	}
	// Output:
	// 2 keys: "secret" <nil>
	// 1 keys: "" <nil>
}

// What a store holds can be listed, if it can list.
func ExampleRanger() {
	ctx := context.Background()
	var s store.Store = storetest.NewMap(0)
	for key, kind := range map[string]store.Kind{"e1.a": store.KindEntry, "b1.a": store.KindBody} {
		if err := s.Put(ctx, key, store.Record{Data: []byte("…"), Kind: kind, Label: "GET https://example.com/"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	ranger, ok := store.As[store.Ranger](s)
	if !ok {
		fmt.Println("this store cannot list")
		return
	}
	err := ranger.Range(ctx, store.KindEntry, func(key string, r store.Record) bool {
		fmt.Println(key, r.Kind)
		return true
	})
	fmt.Println(err)
	// Output:
	// e1.a entry
	// <nil>
}

// A store that hears of changes says which copies of records are out of date.
func ExampleNotifier() {
	ctx, mine := context.Background(), storetest.NewMap(0)
	theirs := mine.Open() // the store as another process has it open

	stop := mine.Notify(func(key string) { fmt.Println("changed:", key) })
	defer stop()
	if err := theirs.Put(ctx, "k", store.Record{Data: []byte("new")}); err != nil {
		fmt.Println(err)
	}
	// Output: changed: k
}
