package cache

import (
	"context"
	"hash/maphash"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// findDurable is find in a byte store, which it asks once in most cases, and not at all if a copy in memory answers. A store that fails counts as empty.
func (c *Cache) findDurable(f *lookup, a *rfc9111.Request, key []byte, r *http.Request, now time.Time) {
	copied := c.durable.Copied(key)
	if c.selectOwn(f, copied, a, r); f.Entry != nil && f.Entry.Body.InMemory() {
		c.filterFound(f, r)
		return
	}
	ctx := c.durable.Client.Within(r.Context())
	defer ctx.End()
	complete := false
	if copied == nil {
		complete = c.readOwn(ctx, f, a, key, r)
	}
	if f.Entry == nil && !complete {
		c.readAlike(ctx, f, a, r)
	}
	if c.filterFound(f, r); f.Entry != nil && !f.Entry.Body.InMemory() {
		c.fetchBody(ctx, a, f, now)
	}
}

// readOwn reads what is stored under the request's own key and, unless that is likely to be enough, what does not vary on the whole query, in one call of the store.
// complete means that readAlike need not be tried: it has been read, or the store fails.
func (c *Cache) readOwn(ctx context.Context, f *lookup, a *rfc9111.Request, key []byte, r *http.Request) (complete bool) {
	var room [2]invalidation.Tag
	keys, tags := [2][]byte{key}, room[:0]
	own := c.foundKeys.has(key)
	if own {
		tags = c.ownTags(tags, r)
	} else {
		keys[1], _ = c.searchKey(r, a.Path) // without such a key, nothing is alike
		tags = c.knownTags(r)
	}
	sets, seen, err := c.durable.Get(ctx, keys, tags)
	c.fault(ctx, "get", err)
	c.foundKeys.note(key, sets[0] != nil)
	if f.seen = seen; seen != nil {
		seen.Partial = own
	}
	if c.selectOwn(f, sets[0], a, r); f.Entry == nil && keys[1] != nil {
		c.selectAlike(f, sets[1], keys[1], a, r)
	}
	return seen == nil || keys[1] != nil
}

// readAlike reads what does not vary on the whole query.
func (c *Cache) readAlike(ctx context.Context, f *lookup, a *rfc9111.Request, r *http.Request) {
	key, err := c.searchKey(r, a.Path)
	if err != nil {
		return
	}
	sets, seen, err := c.durable.Get(ctx, [2][]byte{key}, c.knownTags(r))
	c.fault(ctx, "get", err)
	c.selectAlike(f, sets[0], key, a, r)
	switch {
	case f.Entry != nil || f.seen == nil && f.Variants == nil:
		f.seen = seen
	case f.seen != nil && seen != nil: // what is under the own key says more: it has the tags of what is there
		f.seen.AddFrom(seen)
	}
}

// foundKeys remembers, for some thousand keys, that the last lookup under them has found something. It is a hint: what it forgets or mixes up costs
// one more record in a call of the store, or one more call.
type foundKeys struct {
	seed  maphash.Seed
	slots [4096]atomic.Uint64 // each the hash of a key, or 0
}

func newFoundKeys() *foundKeys { return &foundKeys{seed: maphash.MakeSeed()} }

func (k *foundKeys) slot(key []byte) (slot *atomic.Uint64, hash uint64) {
	hash = maphash.Bytes(k.seed, key)
	return &k.slots[hash%uint64(len(k.slots))], hash
}

func (k *foundKeys) has(key []byte) bool {
	slot, hash := k.slot(key)
	return slot.Load() == hash
}

// note notes whether a lookup has found something.
func (k *foundKeys) note(key []byte, found bool) {
	slot, hash := k.slot(key)
	switch there := slot.Load() == hash; {
	case found && !there:
		slot.Store(hash)
	case !found && there:
		slot.CompareAndSwap(hash, 0)
	}
}
