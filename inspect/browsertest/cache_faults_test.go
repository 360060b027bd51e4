package browsertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// listingStore fails to list what it holds: at once, or after it has.
type listingStore struct {
	*storetest.Map
	fails atomic.Value // "", "at once" or "late"
}

func (s *listingStore) Range(ctx context.Context, kind store.Kind, f func(string, store.Record) bool) error {
	switch s.fails.Load() {
	case "at once":
		return errors.New("the store is away")
	case "late":
		s.Map.Range(ctx, kind, f)
		return errors.New("the store is away")
	}
	return s.Map.Range(ctx, kind, f)
}

// A store that fails is not shown as an empty cache, and what it had listed by then is shown as a part.
func TestCacheOfAStoreThatFailsIsNotShownAsEmpty(t *testing.T) {
	s := &listingStore{Map: storetest.NewMap(1 << 20)}
	s.fails.Store("")
	c, err := cache.New(cache.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	in, err := inspect.New(inspect.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	client, err := ply.New(ply.Options{Transport: plytest.NewOrigin(plytest.Text("x", "Cache-Control", "max-age=600")), Use: []ply.Middleware{in.Middleware, c.Middleware}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	const entries = 100 // more than the cache reads of a store at once
	for i := range entries {
		if _, err := ply.Text(client.Get(t.Context(), fmt.Sprintf("http://a.test/%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	s.fails.Store("at once")
	p := open(t, in)
	p.Keys("2")
	p.Has("#cache-scroll", "the store is away")
	s.fails.Store("late")
	p.Keys("1")
	p.Keys("2")
	p.Has("#cache-count", "not all: the store is away")
	s.fails.Store("")
	p.Keys("1")
	p.Keys("2")
	p.Wait(`!document.getElementById('cache-count').innerText.includes('not all')`)
	p.Has("#cache-count", "100 entries")
	p.Forgive("502")
}
