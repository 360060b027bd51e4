package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/plyhttp/ply/store"
)

// seenByOthers checks that what one instance changes reaches the others, soon.
func seenByOthers(c *check) {
	for i, s := range c.all {
		key := fmt.Sprintf("seen-%d", i)
		holds := func(when, want string) {
			c.Helper()
			c.eventually(key+" "+when, func(s store.Store) error {
				r, err := s.Get(c.ctx, key)
				if err != nil || string(r.Data) != want {
					return fmt.Errorf("an instance has %s, %v, want %q", excerpt(r.Data), err, want)
				}
				return nil
			})
		}
		put := func(data string, expires time.Time) {
			c.Helper()
			r, err := s.Get(c.ctx, key)
			if err == nil {
				err = s.Put(c.ctx, key, store.Record{Data: []byte(data), Version: r.Version, Expires: expires})
			}
			if err != nil {
				c.Fatalf("change by instance %d: %v", i, err)
			}
		}
		put("first", time.Time{})
		holds("after a Put", "first")
		put("second", time.Time{})
		holds("after another Put", "second")
		if err := s.Delete(c.ctx, key, ""); err != nil {
			c.Fatalf("Delete: %v", err)
		}
		holds("after a Delete", "")
		put("third", time.Now().Add(100*time.Millisecond))
		holds("after its time", "")
		put("fourth", time.Time{})
		holds("after a Put in the place of an expired record", "fourth")
	}
	for i := range c.all {
		key := fmt.Sprintf("seen-%d", i)
		version := ""
		c.eventually(key, func(s store.Store) error {
			r, err := s.Get(c.ctx, key)
			if version == "" {
				version = r.Version
			}
			if err != nil || r.Version != version {
				return fmt.Errorf("two instances have versions %q and %q of one record, %v", version, r.Version, err)
			}
			return nil
		})
	}
}

func sharedClear(c *check) {
	can[store.Clearer](c)
	for i, s := range c.all {
		c.put("k", store.Record{Data: []byte("x")})
		clearer, ok := store.As[store.Clearer](s)
		if !ok {
			c.Fatalf("instance %d cannot clear, and another can", i)
		}
		if err := clearer.Clear(c.ctx); err != nil {
			c.Fatalf("Clear by instance %d: %v", i, err)
		}
		c.eventually("after Clear", func(s store.Store) error {
			if r, err := s.Get(c.ctx, "k"); err != nil || r.Version != "" {
				return fmt.Errorf("an instance still has version %q, %v", r.Version, err)
			}
			return nil
		})
	}
}

// notifyHears checks that an instance is told of what the others change.
func notifyHears(c *check) {
	s := can[store.Notifier](c)
	var mu sync.Mutex // guards heard
	heard := make(map[string]int)
	stop := s.Notify(func(key string) {
		mu.Lock()
		defer mu.Unlock()
		heard[key]++
	})
	stopped := false
	defer func() {
		if !stopped {
			stop()
		}
	}()
	hears := func(what, key string, change func() error) {
		c.Helper()
		if r := c.get(key); r.Version != "" { // some stores tell only of what they were asked for
			c.get(key)
		}
		mu.Lock()
		clear(heard)
		mu.Unlock()
		if err := change(); err != nil {
			c.Fatalf("%s: %v", what, err)
		}
		if !c.poll(func() bool {
			mu.Lock()
			defer mu.Unlock()
			return heard[key]+heard[""] > 0
		}) {
			c.Fatalf("Notify does not hear of %s", what)
		}
	}
	other := c.all[len(c.all)-1]
	hears("a Put", "k", func() error { return other.Put(c.ctx, "k", store.Record{Data: []byte("x")}) })
	hears("a Put in the place of another", "k", func() error {
		r, err := other.Get(c.ctx, "k")
		if err != nil {
			return err
		}
		return other.Put(c.ctx, "k", store.Record{Data: []byte("y"), Version: r.Version})
	})
	hears("a Delete", "k", func() error { return other.Delete(c.ctx, "k", "") })
	if s, ok := store.As[store.Clearer](other); ok {
		hears("Clear", "k", func() error {
			if err := other.Put(c.ctx, "k", store.Record{Data: []byte("z")}); err != nil {
				return err
			}
			c.get("k")
			return s.Clear(c.ctx)
		})
	}
	c.within("the stop function of Notify", stop)
	stopped = true
	mu.Lock()
	clear(heard)
	mu.Unlock()
	for i := range 20 {
		if err := other.Put(c.ctx, fmt.Sprintf("after-%d", i), store.Record{Data: []byte("x")}); err != nil {
			c.Fatalf("Put: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(heard) != 0 {
		c.Errorf("Notify: called after stop: %v", heard)
	}
}
