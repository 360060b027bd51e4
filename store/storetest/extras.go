package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/store"
)

// can returns the store as one that implements T, or ends the rule: there is nothing to check.
func can[T any](c *check) T {
	c.Helper()
	s, ok := store.As[T](c.Store)
	if !ok {
		c.Skipf("%T does not do this", c.Store)
	}
	return s
}

func getMulti(c *check) {
	s := can[store.MultiGetter](c)
	keys := []string{"b", "nothing", "a", "expired", "b", "A"}
	for _, key := range []string{"a", "b", "A"} {
		c.put(key, store.Record{Data: proof(key, 1, 200), Kind: store.KindBody, Owner: "o"})
	}
	c.put("expired", store.Record{Data: []byte("x"), Expires: time.Now().Add(-time.Second)})
	records, err := s.GetMulti(c.ctx, keys)
	if err != nil || len(records) != len(keys) {
		c.Fatalf("GetMulti of %d keys: %d records, %v", len(keys), len(records), err)
	}
	for i, key := range keys {
		if key == "nothing" || key == "expired" {
			c.zero(key, records[i], "is absent")
			continue
		}
		one := c.present(key, proof(key, 1, 200))
		c.same(key, records[i], one.Data)
		if records[i].Version != one.Version || records[i].Kind != one.Kind || records[i].Owner != one.Owner {
			c.Errorf("%q: GetMulti and Get do not return the same record", key)
		}
	}
	for _, n := range []int{0, 1, 300} {
		many := make([]string, n)
		for i := range many {
			many[i] = keys[i%len(keys)]
		}
		records, err := s.GetMulti(c.ctx, many)
		if err != nil || len(records) != n {
			c.Fatalf("GetMulti of %d keys: %d records, %v", n, len(records), err)
		}
	}
}

// listed returns what Range finds of a kind. Each key must come once.
func (c *check) listed(s store.Ranger, kind store.Kind) map[string]store.Record {
	c.Helper()
	found := make(map[string]store.Record)
	err := s.Range(c.ctx, kind, func(key string, r store.Record) bool {
		if _, ok := found[key]; ok {
			c.Errorf("Range: %q comes twice", key)
		}
		found[key] = r
		return true
	})
	if err != nil {
		c.Fatalf("Range: %v", err)
	}
	return found
}

func rangeLists(c *check) {
	s := can[store.Ranger](c)
	if n := len(c.listed(s, store.KindEntry)); n != 0 {
		c.Fatalf("Range of an empty store: %d records", n)
	}
	count := map[store.Kind]int{store.KindEntry: 300, store.KindBody: 50, 200: 50}
	for kind, n := range count {
		for i := range n {
			key := fmt.Sprintf("%v:%d:%d", kind, kind, i)
			c.put(key, store.Record{Data: proof(key, 1, 150), Kind: kind, Owner: fmt.Sprint(i)})
		}
	}
	c.put("expired", store.Record{Data: []byte("x"), Kind: store.KindEntry, Expires: time.Now().Add(-time.Second)})
	for kind, n := range count {
		c.listsAll(s, kind, n)
	}
	if n := len(c.listed(s, store.KindLease)); n != 0 {
		c.Errorf("Range of a kind that is not there: %d records", n)
	}
	calls := 0
	if err := s.Range(c.ctx, store.KindEntry, func(string, store.Record) bool { calls++; return calls < 3 }); err != nil || calls != 3 {
		c.Errorf("Range that ends at the third record: %d calls, %v", calls, err)
	}
	c.within("Range whose function calls the store", func() { c.deleteListed(s, count[store.KindEntry]) })
	if left := len(c.listed(s, store.KindEntry)); left != 0 {
		c.Errorf("%d records are left", left)
	}
}

// listsAll checks that Range finds n records of a kind, and the same ones as Get.
func (c *check) listsAll(s store.Ranger, kind store.Kind, n int) {
	c.Helper()
	found := c.listed(s, kind)
	if len(found) != n {
		c.Fatalf("Range of kind %d: %d records, want %d", kind, len(found), n)
	}
	for key, r := range found {
		if _, err := proven(key, r.Data); err != nil || r.Kind != kind {
			c.Fatalf("Range of kind %d: %q is of kind %d, %v", kind, key, r.Kind, err)
		}
		if one := c.get(key); one.Version != r.Version || one.Owner != r.Owner {
			c.Fatalf("Range and Get do not return the same record under %q", key)
		}
	}
}

// deleteListed has the function that Range calls delete the n records that it is given.
func (c *check) deleteListed(s store.Ranger, n int) {
	deleted := 0
	err := s.Range(c.ctx, store.KindEntry, func(key string, r store.Record) bool {
		c.Get(c.ctx, key)
		c.Put(c.ctx, "from-range", store.Record{Data: []byte("x"), Kind: store.KindGeneration})
		if err := c.Delete(c.ctx, key, r.Version); err == nil {
			deleted++
		}
		return true
	})
	if err != nil || deleted != n {
		c.Errorf("Range whose function deletes what it is given: %d deleted, %v, want %d", deleted, err, n)
	}
}

// rangeWhileOthersWrite does not leave it to luck that something changes meanwhile: others write without a pause, and so does what Range calls.
func rangeWhileOthersWrite(c *check) {
	s := can[store.Ranger](c)
	const n = 200
	for i := range n {
		key := fmt.Sprintf("still-%d", i)
		c.put(key, store.Record{Data: proof(key, 1, 200), Kind: store.KindEntry})
	}
	change := func(key string, i int) {
		c.Delete(c.ctx, key, "")
		c.Put(c.ctx, key, store.Record{Data: proof(key, uint64(i), 200), Kind: store.KindEntry})
	}
	const writers, each = 4, 20
	moving := func(w, i int) string { return fmt.Sprintf("moving-%d-%d", w, i%each) }
	for i := range each * (writers + 1) {
		change(moving(i/each, i), 0) // so that no Range finds but a few of them
	}
	var wg sync.WaitGroup
	var done atomic.Bool
	defer done.Store(true)
	for w := range writers {
		wg.Go(func() {
			for i := 1; !done.Load() && c.ctx.Err() == nil && i < 5000; i++ {
				change(moving(w, i), i)
			}
		})
	}
	for round := range 5 {
		still := make(map[string]bool)
		err := s.Range(c.ctx, store.KindEntry, func(key string, r store.Record) bool {
			if _, err := proven(key, r.Data); err != nil {
				c.Errorf("Range: wrong record under %q: %v", key, err)
			}
			if len(still) == 0 {
				c.within("Put in a function that Range calls", func() { change(moving(writers, round), round) })
			}
			if strings.HasPrefix(key, "still-") {
				still[key] = true
			}
			return true
		})
		if err != nil || len(still) != n {
			c.Errorf("Range while others write: %d of the records that do not change, %v, want %d", len(still), err, n)
		}
	}
	done.Store(true)
	wg.Wait()
}

func clearForgets(c *check) {
	s := can[store.Clearer](c)
	if err := s.Clear(c.ctx); err != nil {
		c.Fatalf("Clear of an empty store: %v", err)
	}
	for i := range 50 {
		key := fmt.Sprintf("clear-%d", i)
		c.put(key, store.Record{Data: proof(key, 1, 200), Kind: store.Kind(i % 7), Owner: "o"})
	}
	old := c.get("clear-0").Version
	if err := s.Clear(c.ctx); err != nil {
		c.Fatalf("Clear: %v", err)
	}
	for i := range 50 {
		c.missing(fmt.Sprintf("clear-%d", i), "after Clear")
	}
	c.conflict("Put in the place of what was cleared", c.Put(c.ctx, "clear-0", store.Record{Data: []byte("x"), Version: old}))
	if again := c.create("clear-0", []byte("again")); again.Version == old {
		c.Errorf("version %q was used again after Clear", old)
	}
	if s, ok := store.As[store.Sizer](c.Store); ok {
		if records, _, err := s.Size(c.ctx); err != nil || records != 1 {
			c.Errorf("Size after Clear and one Put: %d records, %v", records, err)
		}
	}
}

func deleteExpired(c *check) {
	s := can[store.Expirer](c)
	now := time.Now()
	for i := range 10 {
		c.put(fmt.Sprintf("hour-%d", i), store.Record{Data: []byte("x"), Expires: now.Add(time.Hour)})
		c.put(fmt.Sprintf("day-%d", i), store.Record{Data: []byte("x"), Expires: now.Add(24 * time.Hour)})
		c.put(fmt.Sprintf("never-%d", i), store.Record{Data: []byte("x")})
	}
	remove := func(now time.Time, want int, left ...string) {
		c.Helper()
		if n, err := s.DeleteExpired(c.ctx, now); err != nil || n != want {
			c.Fatalf("DeleteExpired: %d, %v, want %d", n, err, want)
		}
		for _, name := range []string{"hour", "day", "never"} {
			key := name + "-0"
			if strings.Contains(strings.Join(left, " "), name) {
				c.present(key, []byte("x"))
			} else {
				c.missing(key, "after DeleteExpired")
			}
		}
	}
	remove(now, 0, "hour", "day", "never")
	remove(now.Add(2*time.Hour), 10, "day", "never") // by the clock that it is given
	remove(now.Add(2*time.Hour), 0, "day", "never")
	remove(now.Add(48*time.Hour), 10, "never")
	remove(now.Add(100*365*24*time.Hour), 0, "never")
}

func size(c *check) {
	s := can[store.Sizer](c)
	empty, emptyBytes, err := s.Size(c.ctx)
	if err != nil || empty != 0 {
		c.Fatalf("Size of an empty store: %d records, %v", empty, err)
	}
	is := func(when string, wantRecords, least, most int64) {
		c.Helper()
		var records, bytes int64
		var err error
		if !c.poll(func() bool {
			records, bytes, err = s.Size(c.ctx)
			return err == nil && records == wantRecords && bytes >= least && bytes <= most
		}) {
			c.Fatalf("Size %s: %d records, %d bytes, %v, want %d records and %d to %d bytes", when, records, bytes, err, wantRecords, least, most)
		}
	}
	const n, each = 40, 10_000
	for i := range n {
		key := fmt.Sprintf("size-%d", i)
		c.put(key, store.Record{Data: pattern(key, each), Expires: time.Now().Add(time.Hour)})
	}
	is("after Puts", n, n*each, 3*n*each+emptyBytes)
	_, full, _ := s.Size(c.ctx)
	for i := range n {
		key := fmt.Sprintf("size-%d", i)
		c.put(key, store.Record{Data: pattern(key, each/10), Version: c.get(key).Version})
	}
	is("after smaller ones in their place", n, n*each/10, full*2/3)
	for i := range n {
		key := fmt.Sprintf("size-%d", i)
		c.conflict("Put", c.Put(c.ctx, key, store.Record{Data: pattern(key, each), Version: "another"}))
		if err := c.Delete(c.ctx, key, ""); err != nil {
			c.Fatalf("Delete: %v", err)
		}
		c.Delete(c.ctx, key, "")
	}
	is("after Deletes", 0, emptyBytes, emptyBytes)
	if e, ok := store.As[store.Expirer](c.Store); ok {
		c.put("expired", store.Record{Data: pattern("expired", each), Expires: time.Now().Add(time.Hour)})
		if _, err := e.DeleteExpired(c.ctx, time.Now().Add(2*time.Hour)); err != nil {
			c.Fatalf("DeleteExpired: %v", err)
		}
		is("after DeleteExpired", 0, emptyBytes, emptyBytes)
	}
}

// notifyStops checks what can be seen from one instance: that the calls end, and that f may be slow to end them.
func notifyStops(c *check) {
	s := can[store.Notifier](c)
	var calls, other atomic.Int64
	stop := s.Notify(func(string) { calls.Add(1) })
	stopOther := s.Notify(func(string) { other.Add(1) })
	c.create("k", []byte("x"))
	c.within("the stop function of Notify", func() { stop(); stopOther() })
	before := calls.Load()
	for i := range 20 {
		c.create(fmt.Sprintf("k-%d", i), []byte("x"))
	}
	if now := calls.Load(); now != before {
		c.Errorf("Notify: %d calls after stop", now-before)
	}
	c.within("stop called again", stop)
}
