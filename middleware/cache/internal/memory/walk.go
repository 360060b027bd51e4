package memory

import (
	"context"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Each calls f with the variants of each key that are wanted, all if wanted is nil, until f returns false. It holds no lock during the calls.
// What an update stores that began before Each is seen; what one stores that began later may be.
func (m *Store) Each(ctx context.Context, wanted func(*stored.Variants) bool, f func(string, *stored.Variants, stored.Updater) bool) error {
	holds := func(x *slot) bool { return x.set != nil && (wanted == nil || wanted(x.set)) }
	return m.walk(ctx, holds, func(x *slot) bool {
		return f(x.key, x.set, func(change func(*stored.Variants) *stored.Variants) error { return m.Update(ctx, x.key, change) })
	})
}

// walk calls f with each slot that is wanted until f returns false, a batch at a time.
func (m *Store) walk(ctx context.Context, wanted, f func(*slot) bool) error {
	var b batch
	for i := range m.shards {
		s := &m.shards[i]
		// An update holds the lock while it decides and stores. So one that decides before it can see an invalidation has stored by now,
		// and one that takes the lock later sees the invalidation:
		//	update: lock, decide      purge: announce, lock waits      update: store, unlock      purge: look
		s.mu.Lock()
		t := s.index.table.Load()
		s.mu.Unlock()
		for at := 0; t != nil && at < len(t.cells); {
			if err := ctx.Err(); err != nil {
				return err
			}
			at = b.fill(t, at)
			for _, x := range b.slots[:b.n] {
				if !wanted(x) {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if !f(x) {
					return nil
				}
			}
		}
	}
	return nil
}

// batch is some slots of a table whose entries the CPU has in its caches.
type batch struct {
	slots   [64]*slot
	sets    [64]*stored.Variants
	entries [64]*stored.Entry
	n       int
	touched int // by touch; without it the compiler could leave the reading out
}

// fill takes the next slots of t, from the cell at, and returns the cell to go on with.
//
// Entries are scattered over memory, and to read one is a chain: the cell, the slot, the set, the entry, the URL. Each of these loops takes one step for all
// slots of the batch. The steps of different slots do not depend on each other, so the CPU waits for many of them at once, where slot by slot it would wait for one after the other.
func (b *batch) fill(t *keyTable, at int) (next int) {
	b.n = 0
	for ; at < len(t.cells) && b.n < len(b.slots); at++ {
		if x := t.cells[at].Load(); x != nil && x != &vacated {
			b.slots[b.n] = x
			b.n++
		}
	}
	for i, x := range b.slots[:b.n] {
		b.sets[i] = x.set
	}
	for i, set := range b.sets[:b.n] {
		if b.entries[i] = nil; set != nil && len(set.Entries) > 0 {
			b.entries[i] = set.Entries[0]
		}
	}
	for _, e := range b.entries[:b.n] {
		if e != nil {
			b.touched += int(e.InitialAge) + len(e.URL)
		}
	}
	for _, e := range b.entries[:b.n] {
		if e != nil && e.URL != "" {
			b.touched += int(e.URL[0])
		}
	}
	return at
}
