package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// Store keeps responses in this process's memory. When it is full it evicts what was used least recently, and first of all what was used only once:
// a scan of many URLs that are requested once each does not evict the working set.
// It is safe for concurrent use, returns no error but [store.ErrTooLarge], and readers wait for no lock.
type Store struct {
	maxBytes   int64
	maxEntries int64
	seed       maphash.Seed
	evicted    func(*stored.Entry)

	shards []shard

	bytes     atomic.Int64
	entries   atomic.Int64
	evictions atomic.Int64
	turn      atomic.Uint32
	version   atomic.Int64 // of the latest record
}

// New returns an empty store. Zero bytes are 64 MiB, and no entries are no bound; evicted, if it is not nil, is called with the variants that were evicted.
func New(maxBytes int64, maxEntries int, evicted func(*stored.Entry)) *Store {
	m := &Store{maxBytes: maxBytes, maxEntries: int64(maxEntries), seed: maphash.MakeSeed(), evicted: evicted}
	if m.maxBytes == 0 {
		m.maxBytes = 64 << 20
	}
	if m.maxEntries <= 0 {
		m.maxEntries = math.MaxInt64
	}
	m.shards = make([]shard, shardsFor(m.maxBytes, m.maxEntries))
	for i := range m.shards {
		m.shards[i].init()
	}
	return m
}

// maxShards is how many writers find a shard of their own. Readers need none.
const maxShards = 16

// shardsFor returns the number of shards, a power of two. Each has room for many entries: among few, chance would decide
// which shard is full, and what is evicted would not be what was used longest ago.
func shardsFor(maxBytes, maxEntries int64) int {
	const bytesEach, entriesEach = 8 << 20, 1024
	n := 1
	for n < maxShards && maxBytes >= int64(2*n)*bytesEach && maxEntries >= int64(2*n)*entriesEach {
		n *= 2
	}
	return n
}

// Lookup returns what is stored under key, or nil, without retaining the key.
func (m *Store) Lookup(key []byte) *stored.Variants {
	hash := maphash.Bytes(m.seed, key)
	found := m.shard(hash).index.find(hash, unsafe.String(unsafe.SliceData(key), len(key)))
	if found == nil {
		return nil
	}
	found.use()
	return found.set
}

func (m *Store) peek(key string) *slot {
	hash := maphash.String(m.seed, key)
	return m.shard(hash).index.find(hash, key)
}

// Update replaces what is stored under key. It keeps nothing of change, so that of a caller who calls it directly takes no allocation.
func (m *Store) Update(_ context.Context, key string, change func(*stored.Variants) *stored.Variants) error {
	hash := maphash.String(m.seed, key)
	u := update{key: key, hash: hash, shard: m.shard(hash)}
	for {
		evicted, err := m.attempt(&u, change)
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
	key   string
	hash  uint64
	shard *shard
	alone bool // no other shard has anything to give
}

// errNoRoom says that room must be made in other shards.
var errNoRoom = fmt.Errorf("%w: no room left", store.ErrTooLarge)

// tell reports evicted sets. No lock is held.
func (m *Store) tell(evicted []*stored.Variants) {
	m.evictions.Add(int64(len(evicted)))
	if m.evicted == nil {
		return
	}
	for _, set := range evicted {
		for _, e := range set.All() {
			m.evicted(e)
		}
	}
}

// attempt tries an update with the room that its shard has or can make. If that is not enough, it returns errNoRoom.
func (m *Store) attempt(u *update, change func(*stored.Variants) *stored.Variants) (evicted []*stored.Variants, err error) {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	old := u.shard.index.find(u.hash, u.key)
	var before *stored.Variants
	if old != nil {
		before = old.set
	}
	after := change(before)
	if after == before {
		return nil, nil
	}
	if after == nil {
		m.remove(u.shard, old)
		return nil, nil
	}
	next := &slot{key: u.key, hash: u.hash, set: after}
	if !m.shrink(next) {
		m.remove(u.shard, old) // it is out of date
		return nil, store.ErrTooLarge
	}
	return m.replace(u, old, next)
}

// shrink leaves as many variants in a slot as the store can hold, the newest ones. It is false if it cannot hold any.
func (m *Store) shrink(next *slot) bool {
	for next.size() > m.maxBytes || next.entries() > m.maxEntries {
		if len(next.set.Entries) == 1 {
			return false
		}
		next.set = &stored.Variants{Entries: next.set.Entries[1:]}
	}
	return true
}

// replace puts next in the place of old, after it has reserved what next needs beyond old.
func (m *Store) replace(u *update, old, next *slot) (evicted []*stored.Variants, err error) {
	s := u.shard
	var has, entries int64
	if old != nil {
		has, entries = old.size(), old.entries()
		s.unlink(old) // so that it is not evicted to make room for its own successor
	}
	needs := next.size() - has
	for !m.reserve(needs, next.entries()-entries) {
		if !u.alone && m.hasLess(s, 7, 8) { // the others have more to give
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
		s.index.put(next)
	case old != nil && u.alone:
		m.release(s, old) // it is out of date
	case old != nil:
		s.link(old)
	}
	if u.alone && err != nil {
		err = store.ErrTooLarge
	}
	return evicted, err
}

// reserve adds to the totals if the bounds allow it.
func (m *Store) reserve(bytes, entries int64) bool {
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

// hasLess reports whether a shard has less than a part of an equal share of all bytes. The caller holds the shard's lock.
func (m *Store) hasLess(s *shard, part, of int64) bool {
	return s.bytes()*int64(len(m.shards))*of < m.bytes.Load()*part
}

// remove removes a slot, which may be nil. The caller holds the shard's lock.
func (m *Store) remove(s *shard, gone *slot) {
	if gone != nil {
		s.unlink(gone)
		m.release(s, gone)
	}
}

// release drops a slot that is in no list any more, and gives back what it was charged with. The caller holds the shard's lock.
func (m *Store) release(s *shard, gone *slot) {
	s.index.remove(gone)
	s.tags.remove(gone)
	m.bytes.Add(-gone.size())
	m.entries.Add(-gone.entries())
}

// evictElsewhere evicts a slot from another shard than full, taking the shards in turn: in the first round those that have their share or more.
// So all shards keep about as much. It reports false if they are all empty.
func (m *Store) evictElsewhere(full *shard) bool {
	for i := range 2 * len(m.shards) {
		s := &m.shards[m.turn.Add(1)%uint32(len(m.shards))]
		if s == full {
			continue
		}
		if victim := m.evictFrom(s, i < len(m.shards)); victim != nil {
			m.tell([]*stored.Variants{victim.set})
			return true
		}
	}
	return false
}

// evictFrom evicts a slot of a shard, unless it has less than its share and that counts, or has none.
func (m *Store) evictFrom(s *shard, counts bool) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if counts && m.hasLess(s, 1, 1) {
		return nil
	}
	victim := s.victim()
	if victim != nil {
		m.release(s, victim)
	}
	return victim
}

// DeleteTagged removes all variants of each key that has an entry with one of these tags. It looks for them under the shard's lock, which an update holds
// from beginning to end. So an update that decides to store before it can see the invalidation is complete when DeleteTagged looks.
func (m *Store) DeleteTagged(_ context.Context, tags []invalidation.Tag) error {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, tag := range tags {
			for _, tagged := range s.tags.slots(tag.Short()) {
				m.remove(s, tagged)
			}
		}
		s.mu.Unlock()
	}
	return nil
}

// DeleteEntry removes one entry. It finds the entry by its first tag, for an entry does not know its key, and leaves others with that tag alone.
func (m *Store) DeleteEntry(ctx context.Context, e *stored.Entry) error {
	if e.RecordKey() != nil {
		return stored.ErrForeignEntry
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		tagged := s.tags.slots(e.Tags[0].Short())
		s.mu.Unlock()
		for _, found := range tagged {
			err := m.Update(ctx, found.key, func(set *stored.Variants) *stored.Variants { return set.Without(e.SharesBodyWith) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Clear removes everything. It holds the locks of all shards, so that no update changes the totals before they are set to zero. Nothing else holds two of them.
func (m *Store) Clear(context.Context) error {
	for i := range m.shards {
		m.shards[i].mu.Lock()
		defer m.shards[i].mu.Unlock()
	}
	for i := range m.shards {
		m.shards[i].empty()
	}
	m.bytes.Store(0)
	m.entries.Store(0)
	return nil
}

// Bytes returns how many bytes the stored entries are charged with.
func (m *Store) Bytes() int64 { return m.bytes.Load() }

// Len returns how many entries are stored.
func (m *Store) Len() int { return int(m.entries.Load()) }

// Evictions returns how many keys were evicted to make room.
func (m *Store) Evictions() int64 { return m.evictions.Load() }
