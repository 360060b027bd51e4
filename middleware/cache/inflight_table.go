package cache

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// inflightFetches are the fetches that are under way, by key, and the refreshes in the background: one for each key, and a bounded number of them.
//
// Its lock is taken before that of a fetch, never after. No callback of the user's runs under it.
type inflightFetches struct {
	// The fields above mu are set by init and not changed afterwards; storedAt is atomic.
	ctx      context.Context // done when the cache is closed
	cancel   context.CancelFunc
	wg       sync.WaitGroup // the refreshes; close waits for them
	epoch    time.Time
	seed     maphash.Seed
	storedAt [256]atomic.Int64 // when something was last stored for keys with this hash, since epoch

	// mu is held for moments. join calls the rules and the lock of a fetch under it, and starts no I/O.
	mu        sync.Mutex                // guards the fields below
	keys      map[string]*inflightFetch // the first of each key; next leads to the others
	count     int
	refreshes map[string]struct{}
	probing   map[string]int // requests that ask by themselves, by key, where something stale could stand in for an error
	misses    [hitForMissKeys]hitForMiss
	closed    bool
}

const (
	// maxRefreshes bounds the refreshes that run at one time. Beyond it, a stale response is served and left as it is.
	maxRefreshes = 64

	// maxInflight bounds the fetches that requests can share. Beyond it, each request asks by itself.
	maxInflight = 1 << 14
)

// It runs before the cache is shared, so without the lock.
func (t *inflightFetches) init() {
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.keys, t.refreshes, t.probing = make(map[string]*inflightFetch), make(map[string]struct{}), make(map[string]int)
	t.epoch, t.seed = time.Now(), maphash.MakeSeed()
}

// role is what a request is to a fetch that others may share.
type role uint8

const (
	byItself role = iota // it has an exchange of its own
	leads                // it begins a fetch
	shares               // it joins one
)

// join finds a fetch for a request, or makes one.
// The caller holds no lock. It owns one reference afterwards, unless it asks by itself.
func (t *inflightFetches) join(x *exchange) (*inflightFetch, role) {
	if !x.cache.wholeURI {
		x.knownTags() // calls the strategy, which must not happen under the lock
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// A request that may share but not lead, one for a part say, still takes the answer to another's.
	varies := false
	if x.mayShare() {
		var f *inflightFetch
		if f, varies = t.find(x); f != nil {
			return f, shares
		}
	}
	// A cache that is closed still answers, but nothing is shared any more.
	if !x.mayLead() || t.closed || t.count >= maxInflight || t.keys[x.ownKey].atVariantLimit() {
		return nil, byItself
	}
	// Finding and making are one critical section: two requests for one response cannot both find nothing and lead.
	miss := t.hitForMiss(x.ownKey)
	if x.now.Before(miss.until) && t.probe(x) {
		x.unshared = true
		return nil, byItself
	}
	f := newInflightFetch(x, varies)
	f.doubted = x.now.Before(miss.suspended)
	// The newest comes first, for find takes the first that fits: its answer is the youngest.
	f.next, t.keys[x.ownKey] = t.keys[x.ownKey], f
	t.count++
	return f, leads
}

// find returns a fetch whose answer is for this request, as far as is known, or nil, and whether answers on their way vary. The lock is held.
func (t *inflightFetches) find(x *exchange) (found *inflightFetch, varies bool) {
	first := t.keys[x.ownKey]
	if first == nil {
		return nil, false
	}
	// Two passes: what one answer varies on, the others of the key are expected to vary on, too, before they are there.
	names := x.knownSelectors()
	for f := first; f != nil; f = f.next {
		if f.hasAnswer() {
			names = append(names, f.entry.Selectors...)
		}
	}
	for f := first; f != nil; f = f.next {
		switch {
		// The cheap conditions come first. f.join is last, for it takes the reference.
		case t.invalidatedSince(f, x):
			// A request that was made after an invalidation gets an answer that was made after it, too.
		case f.hasAnswer() && f.outdated(&x.cache.history):
		case f.hasAnswer() && (!rfc9111.Selects(f.entry, x.request, x.cache.hashKey()) || !x.couldUse(f.entry, time.Now())):
		case !f.hasAnswer() && len(names) > 0 && (f.alike == nil || !x.selectsLike(f.alike, names)):
		case f.join(x):
			return f, true
		}
	}
	return nil, len(names) > 0
}

// invalidatedSince reports whether what x asks for has been invalidated since a fetch began, here or by another process: by a tag that the answer has for certain,
// or, by another process, one of what was stored when the fetch began, which the answer most likely has too.
// find calls it under the table's lock. join has had the strategy called before, if there is one.
func (t *inflightFetches) invalidatedSince(f *inflightFetch, x *exchange) bool {
	history := &x.cache.history
	return history.Since(f.began, x.knownTags()) ||
		history.FilteredSince(f.began, func() string { return rfc9111.DisplayURL(f.request) }, f.started) ||
		x.seen != nil && f.seen.OlderThan(x.seen, x.seen.Tags)
}

// remove takes a fetch from the table. Removing it again does nothing.
// publish and leave may both call it, in either order. The caller holds no lock of a fetch: that would be the wrong order.
func (t *inflightFetches) remove(f *inflightFetch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// f.next belongs to the list as long as f is on it. It is cleared at the end, so that f, which its waiters keep, keeps no other fetch.
	first := t.keys[f.key]
	switch {
	case first == f && f.next == nil:
		delete(t.keys, f.key)
	case first == f:
		t.keys[f.key] = f.next
	default:
		for first != nil && first.next != f {
			first = first.next
		}
		if first == nil {
			return // it has been removed before
		}
		first.next = f.next
	}
	f.next = nil
	t.count--
}

// atVariantLimit reports whether as many fetches of one key are under way as a store would keep variants of. The table's lock is held.
func (f *inflightFetch) atVariantLimit() bool {
	n := 0
	for ; f != nil; f = f.next {
		n++
	}
	return n >= stored.MaxVariants
}

// storedSince reports whether something may have been stored for a key since then. Other keys with the same hash make it say so, too.
// It takes no lock. begin calls it after join, whose lock orders it after the note of a fetch that has left the table.
func (t *inflightFetches) storedSince(key string, then time.Time) bool {
	return t.storedAt[maphash.String(t.seed, key)%uint64(len(t.storedAt))].Load() > int64(then.Sub(t.epoch))
}

// noteStored notes that something has been stored for a key. It comes before the fetch leaves the table:
//
//	they: store   they: note   they: leave the table   we: find no fetch   we: find the note, look up again
func (t *inflightFetches) noteStored(key string) {
	// One more than the time since epoch: the clock may stand still between a lookup and this note.
	t.storedAt[maphash.String(t.seed, key)%uint64(len(t.storedAt))].Store(int64(time.Since(t.epoch)) + 1)
}

// startRefresh runs refresh on a goroutine of its own, which close waits for, unless one for this key is under way, or a caller asks the origin at the moment.
// It reports whether it does.
func (t *inflightFetches) startRefresh(own, key string, refresh func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	// closed is looked at under the lock that close sets it under, so wg.Go never races with wg.Wait.
	// A caller that is asking at this moment will store what the refresh would: the next request that finds it stale starts one.
	if _, busy := t.refreshes[key]; busy || t.closed || len(t.refreshes) >= maxRefreshes || t.underWay(own) {
		return false
	}
	t.refreshes[key] = struct{}{}
	t.wg.Go(func() {
		// It runs also if refresh ends its goroutine; the key would stay busy for ever otherwise.
		defer t.endRefresh(key)
		refresh()
	})
	return true
}

// underWay reports whether a fetch for a key is under way, and has not stalled. The lock is held.
func (t *inflightFetches) underWay(key string) bool {
	for f := t.keys[key]; f != nil; f = f.next {
		if time.Since(f.started) <= stream.StalledAfter {
			return true
		}
	}
	return false
}

// The refresh's goroutine calls it once, at its end, without the lock.
func (t *inflightFetches) endRefresh(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.refreshes, key)
}

// close cancels the refreshes and waits for them. Fetches go on, for their callers wait for them; join makes no new ones.
// It may be called again. It blocks until each refresh has returned, and the caller holds no lock.
func (t *inflightFetches) close() {
	t.mu.Lock()
	t.closed = true // before wg.Wait, so that no refresh is added while it waits
	t.mu.Unlock()
	// Without the lock, because endRefresh takes it.
	t.cancel()
	t.wg.Wait()
}
