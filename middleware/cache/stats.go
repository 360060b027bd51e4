package cache

import "sync/atomic"

// Stats counts what a cache did since it was made. Each request counts once, by [Status.Outcome], among Hits, Misses, Revalidated, Bypassed and Errors,
// and so does each refresh in the background.
type Stats struct {
	Hits          int64 // answered from the store, stale answers included: outcomes hit and stale
	Stale         int64 // of these, past their freshness
	Misses        int64 // forwarded, or refused: nothing usable was stored. Outcomes miss, refreshed and refused
	Revalidated   int64 // forwarded, and the origin confirmed what was stored
	Bypassed      int64 // forwarded without a look at the store
	Collapsed     int64 // of Misses and Revalidated, answered by the exchange of another request
	Errors        int64 // forwarded, and neither the next handler nor the store had an answer
	Stored        int64 // responses taken into the store
	Invalidated   int64 // URIs invalidated by unsafe requests
	StoreErrors   int64 // failed calls of the store
	StoreSkipped  int64 // lookups and changes that were not tried, because the store had failed before
	Owed          int64 // invalidations that the store has not taken yet, so that other processes may not know of them
	StoreDown     bool  // the store cannot be read, and is left alone until it answers a probe
	StoreReadOnly bool  // changes hang, and are not tried until one does not; what is stored is served
	Ahead         int64 // responses refreshed while they were fresh, counted above as well; see [expiry.Ahead]
	AheadRefused  int64 // such refreshes that Options.RefreshBudget did not pay for
	Evicted       int64 // keys that had to go to make room; in a Memory only
	Entries       int64 // entries stored now; in a Memory only
	Bytes         int64 // bytes stored now; in a Memory only
}

type counters struct {
	hits tally

	stale, misses, revalidated, bypassed, collapsed, errors, stored, invalidated, storeErrors, storeSkipped, ahead, aheadRefused atomic.Int64
}

// of returns the counter of a request that was answered with a status.
func (c *counters) of(s Status) *atomic.Int64 {
	switch s.Outcome() {
	case "hit", "stale":
		return c.hits.cell()
	case "revalidated":
		return &c.revalidated
	case "bypassed":
		return &c.bypassed
	}
	return &c.misses
}

// Stats returns the counts.
func (c *Cache) Stats() Stats {
	s := Stats{
		Hits: c.stats.hits.Load(), Stale: c.stats.stale.Load(), Misses: c.stats.misses.Load(),
		Revalidated: c.stats.revalidated.Load(), Bypassed: c.stats.bypassed.Load(), Collapsed: c.stats.collapsed.Load(), Errors: c.stats.errors.Load(), Stored: c.stats.stored.Load(),
		Ahead: c.stats.ahead.Load(), AheadRefused: c.stats.aheadRefused.Load(), Invalidated: c.stats.invalidated.Load(), StoreErrors: c.stats.storeErrors.Load(), StoreSkipped: c.stats.storeSkipped.Load(),
	}
	if c.durable != nil {
		s.StoreDown = c.durable.Client.Reads.Breaker.IsDown()
		s.StoreReadOnly = !s.StoreDown && c.durable.Client.Writes.Breaker.IsDown()
		s.Owed = c.durable.Pending.Count()
	}
	if c.memory != nil {
		s.Evicted, s.Entries, s.Bytes = c.memory.Evictions(), int64(c.memory.Len()), c.memory.Bytes()
	}
	return s
}
