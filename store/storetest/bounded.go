package storetest

import (
	"errors"
	"fmt"

	"github.com/plyhttp/ply/store"
)

const portion = 32 << 10 // a record of a bounded store, of which it holds about a hundred

// fill puts n records, never expiring, each of which must be there after its Put.
func (c *check) fill(name string, n int) {
	c.Helper()
	for i := range n {
		key := fmt.Sprintf("%s-%d", name, i)
		c.put(key, store.Record{Data: proof(key, 1, portion), Kind: store.KindEntry})
		c.present(key, proof(key, 1, portion))
		c.bounded()
	}
}

func (c *check) bounded() {
	c.Helper()
	if s, ok := store.As[store.Sizer](c.Store); ok {
		if _, bytes, err := s.Size(c.ctx); err != nil || bytes > bound {
			c.Fatalf("Size: %d bytes, %v, want at most %d", bytes, err, bound)
		}
	}
}

// there counts those of n records that are still there, beginning with the given one. What is there must be right.
func (c *check) there(name string, first, n int) int {
	c.Helper()
	count := 0
	for i := first; i < n; i++ {
		key := fmt.Sprintf("%s-%d", name, i)
		if r := c.get(key); r.Version != "" {
			c.same(key, r, proof(key, 1, portion))
			count++
		}
	}
	return count
}

func boundHolds(c *check) {
	const n = 2 * bound / portion
	c.fill("bound", n)
	if held := c.there("bound", 0, n); held*portion > bound {
		c.Errorf("a store of %d bytes holds %d records of %d bytes", bound, held, portion)
	} else if held*portion < bound/2 {
		c.Errorf("a store of %d bytes holds only %d records of %d bytes", bound, held, portion)
	}
	for i := range n { // and in the place of others
		key := fmt.Sprintf("bound-%d", i%50)
		c.put(key, store.Record{Data: proof(key, uint64(i), 1000+i*397%(4*portion)), Version: c.get(key).Version})
		c.bounded()
	}
}

// newestStay: what was put last is not what was used longest ago.
func newestStay(c *check) {
	const n, newest = 3 * bound / portion, bound / portion / 4
	c.fill("new", n)
	if held := c.there("new", n-newest, n); held < newest*3/4 {
		c.Errorf("of the %d records that were put last only %d are there", newest, held)
	}
	if held := c.there("new", 0, bound/portion); held > bound/portion/16 {
		c.Errorf("of the %d records that were put first %d are still there, and others are not", bound/portion, held)
	}
}

// usedOnesStay: what is read all the time is not what was used longest ago.
func usedOnesStay(c *check) {
	const used = 4
	c.fill("used", used)
	for i := range 2 * bound / portion {
		key := fmt.Sprintf("passing-%d", i)
		c.put(key, store.Record{Data: proof(key, 1, portion), Kind: store.KindEntry})
		for k := range used {
			c.get(fmt.Sprintf("used-%d", k))
		}
	}
	if held := c.there("used", 0, used); held != used {
		c.Errorf("of %d records that were read after every Put, only %d are there", used, held)
	}
}

func tooLargeForTheBound(c *check) {
	c.fill("old", 20)
	old := c.create("k", []byte("small"))
	for _, key := range []string{"k", "l"} {
		version := map[string]string{"k": old.Version}[key]
		err := c.Put(c.ctx, key, store.Record{Data: pattern("large", bound+1), Version: version})
		if !errors.Is(err, store.ErrTooLarge) {
			c.Errorf("Put of more than the store holds: %v, want ErrTooLarge", err)
		}
	}
	if now := c.present("k", []byte("small")); now.Version != old.Version {
		c.Errorf("ErrTooLarge changed the version of what was there")
	}
	c.missing("l", "after ErrTooLarge")
	if held := c.there("old", 0, 20); held != 20 {
		c.Errorf("ErrTooLarge cost %d other records", 20-held)
	}
	c.bounded()
}
