package cache

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/plyhttp/ply/store"
)

// MemoryOptions bound a [Memory].
type MemoryOptions struct {
	// MaxBytes bounds the bytes of all entries together: bodies, headers, keys and overhead.
	// Zero means 64 MiB; a negative value means that nothing is kept.
	MaxBytes int64

	// MaxEntries bounds the number of entries, each variant counted. Zero or less means that only MaxBytes bounds.
	MaxEntries int

	// Evicted is called with each entry that had to go to make room for another one, on the goroutine that stores that. Nil means nobody is told.
	Evicted func(*Entry)
}

// Memory keeps responses in this process's memory. When it is full, what has not been used for long goes first, and of that what was used only once:
// a walk through many URLs that are asked for once each does not drive out what is asked for again and again.
// It is safe for concurrent use, never returns an error but [store.ErrTooLarge], and readers wait for no lock.
type Memory struct {
	maxBytes   int64
	maxEntries int64
	seed       maphash.Seed
	evicted    func(*Entry)

	index  sync.Map // what readers see: each key's *slot. Written under the lock of the key's shard
	shards []shard

	bytes     atomic.Int64
	entries   atomic.Int64
	evictions atomic.Int64
	turn      atomic.Uint32
	version   atomic.Int64 // of the latest record
}

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{maxBytes: o.MaxBytes, maxEntries: int64(o.MaxEntries), seed: maphash.MakeSeed(), evicted: o.Evicted}
	if m.maxBytes == 0 {
		m.maxBytes = 64 << 20
	}
	if m.maxEntries <= 0 {
		m.maxEntries = math.MaxInt64
	}
	n := 1
	if m.maxBytes >= 1<<20 && m.maxEntries >= 1024 {
		n = 16
	}
	m.shards = make([]shard, n)
	for i := range m.shards {
		m.shards[i].init()
	}
	return m
}

// get returns what is stored under key, or nil, without retaining the key.
func (m *Memory) get(key []byte) *variants {
	found := m.peek(unsafe.String(unsafe.SliceData(key), len(key)))
	if found == nil {
		return nil
	}
	found.use()
	return found.set
}

func (m *Memory) peek(key string) *slot {
	found, _ := m.index.Load(key)
	stored, _ := found.(*slot)
	return stored
}

// update replaces what is stored under key.
func (m *Memory) update(_ context.Context, key string, change func(*variants) *variants) error {
	hash := maphash.String(m.seed, key)
	u := update{key: key, hash: hash, change: change, shard: m.shard(hash)}
	for {
		evicted, err := m.attempt(&u)
		m.tell(evicted)
		if err != errNoRoom {
			return err
		}
		if !m.evictElsewhere(u.shard) {
			u.alone = true
		}
	}
}

// update is one call of that method.
type update struct {
	key    string
	hash   uint64
	change func(*variants) *variants
	shard  *shard
	alone  bool // no other shard has anything to give
}

// errNoRoom tells that room must be made in other shards.
var errNoRoom = fmt.Errorf("%w: no room left", store.ErrTooLarge)

// tell reports evicted sets. No lock is held.
func (m *Memory) tell(evicted []*variants) {
	m.evictions.Add(int64(len(evicted)))
	if m.evicted == nil {
		return
	}
	for _, set := range evicted {
		for _, e := range set.all() {
			m.evicted(e)
		}
	}
}

// attempt does an update as far as its shard has or can make room.
func (m *Memory) attempt(u *update) (evicted []*variants, err error) {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	old := m.peek(u.key)
	var before *variants
	if old != nil {
		before = old.set
	}
	after := u.change(before)
	if after == before {
		return nil, nil
	}
	if after == nil {
		m.remove(u.shard, old)
		return nil, nil
	}
	next := &slot{key: u.key, hash: u.hash, set: after, entries: int64(len(after.entries))}
	next.size = slotOverhead + int64(len(u.key)) + after.size()
	if !m.shrink(next) {
		m.remove(u.shard, old) // it would be out of date
		return nil, store.ErrTooLarge
	}
	next.tags = next.one[:0]
	for _, e := range next.set.entries {
		for _, tag := range e.tags { // one that several entries have counts as one
			next.tags = append(next.tags, tag.short())
		}
	}
	return m.replace(u, old, next)
}

// shrink leaves as many variants in a slot as the store can hold, the newest ones. It is false if it cannot hold any.
func (m *Memory) shrink(next *slot) bool {
	for next.size > m.maxBytes || next.entries > m.maxEntries {
		if len(next.set.entries) == 1 {
			return false
		}
		next.size -= next.set.entries[0].size
		next.entries--
		next.set = &variants{entries: next.set.entries[1:]}
	}
	return true
}

// replace puts next in the place of old, after it has reserved what next needs beyond old.
func (m *Memory) replace(u *update, old, next *slot) (evicted []*variants, err error) {
	s := u.shard
	var has, entries int64
	if old != nil {
		has, entries = old.size, old.entries
		s.unlink(old) // what makes room for its successor must be something else
	}
	for !m.reserve(next.size-has, next.entries-entries) {
		if !u.alone && s.bytes()*int64(2*len(m.shards)) < m.bytes.Load() { // the others have more to give
			err = errNoRoom
			break
		}
		victim := s.victim()
		if victim == nil {
			err = errNoRoom
			break
		}
		m.release(s, victim)
		evicted = append(evicted, victim.set)
	}
	switch {
	case err == nil:
		s.succeed(next, old)
		m.index.Store(next.key, next)
	case old != nil && u.alone:
		m.release(s, old) // it would be out of date
	case old != nil:
		s.link(old)
	}
	if u.alone && err != nil {
		err = store.ErrTooLarge
	}
	return evicted, err
}

// reserve adds to the totals if the bounds allow it.
func (m *Memory) reserve(bytes, entries int64) bool {
	if !reserve(&m.bytes, bytes, m.maxBytes) {
		return false
	}
	if !reserve(&m.entries, entries, m.maxEntries) {
		m.bytes.Add(-bytes)
		return false
	}
	return true
}

func reserve(total *atomic.Int64, n, limit int64) bool {
	for {
		old := total.Load()
		if n > 0 && old > limit-n {
			return false
		}
		if total.CompareAndSwap(old, old+n) {
			return true
		}
	}
}

// remove takes out a slot, which may be nil. The shard's lock is held.
func (m *Memory) remove(s *shard, gone *slot) {
	if gone != nil {
		s.unlink(gone)
		m.release(s, gone)
	}
}

// release lets go of a slot that is in no list any more, and gives back what it was charged with. The shard's lock is held.
func (m *Memory) release(s *shard, gone *slot) {
	m.index.Delete(gone.key)
	s.tags.remove(gone)
	m.bytes.Add(-gone.size)
	m.entries.Add(-gone.entries)
}

// evictElsewhere evicts from another shard than full, each in its turn. It is false if there is nothing left in them.
func (m *Memory) evictElsewhere(full *shard) bool {
	for range m.shards {
		s := &m.shards[m.turn.Add(1)%uint32(len(m.shards))]
		if s == full {
			continue
		}
		s.mu.Lock()
		victim := s.victim()
		if victim != nil {
			m.release(s, victim)
		}
		s.mu.Unlock()
		if victim != nil {
			m.tell([]*variants{victim.set})
			return true
		}
	}
	return false
}

// deleteTagged removes every set that has an entry with one of these tags. It looks for them under the lock that an update holds from its
// beginning to its end: an update that has not heard of an invalidation when it decides to store is over when the invalidation looks.
func (m *Memory) deleteTagged(_ context.Context, tags []tag) error {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, tag := range tags {
			for _, tagged := range s.tags.slots(tag.short()) {
				m.remove(s, tagged)
			}
		}
		s.mu.Unlock()
	}
	return nil
}

// deleteEntry removes an entry. It knows no key: the entry is found by its first tag, and the others with that are left alone.
func (m *Memory) deleteEntry(ctx context.Context, e *Entry) error {
	if e.at != nil {
		return errForeignEntry
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		tagged := s.tags.slots(e.tags[0].short())
		s.mu.Unlock()
		for _, found := range tagged {
			err := m.update(ctx, found.key, func(set *variants) *variants { return set.without(e.becameHere) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// becameHere reports whether other is e, or what a validation has made of it in this process: that shares the body.
func (e *Entry) becameHere(other *Entry) bool {
	mine, others := e.body.bytes, other.body.bytes
	return e == other || len(mine) > 0 && len(others) > 0 && &mine[0] == &others[0]
}

// clear removes everything.
func (m *Memory) clear(ctx context.Context) error { return m.Clear(ctx) }

// Clear removes everything.
func (m *Memory) Clear(context.Context) error {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, stored := range s.slots() {
			m.remove(s, stored)
		}
		s.mu.Unlock()
	}
	return nil
}

// each calls f with each set until f returns false. No lock is held meanwhile.
func (m *Memory) each(ctx context.Context, f func(*variants, updater) bool) error {
	return m.walk(ctx, func(found *slot) bool {
		return found.set == nil || f(found.set, func(change func(*variants) *variants) error { return m.update(ctx, found.key, change) })
	})
}

func (m *Memory) walk(ctx context.Context, f func(*slot) bool) error {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		slots := s.slots()
		s.mu.Unlock()
		for _, found := range slots {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !f(found) {
				return nil
			}
		}
	}
	return nil
}

// Bytes returns how many bytes the stored entries are charged with.
func (m *Memory) Bytes() int64 { return m.bytes.Load() }

// Len returns how many entries are stored.
func (m *Memory) Len() int { return int(m.entries.Load()) }

// Evictions returns how many keys had to go to make room.
func (m *Memory) Evictions() int64 { return m.evictions.Load() }
