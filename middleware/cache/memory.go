package cache

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"
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

// Memory is a [Store] in this process's memory. It forgets what was used longest ago when it is full.
// It is safe for concurrent use, never returns an error and never blocks on anything but its own short locks.
type Memory struct {
	maxBytes   int64
	maxEntries int64
	seed       maphash.Seed
	shards     []shard
	evicted    func(*Entry)

	bytes     atomic.Int64
	entries   atomic.Int64
	evictions atomic.Int64
	turn      atomic.Uint32
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
		m.shards[i].init(m)
	}
	return m
}

// shard is one part of the keys, in order of use.
type shard struct {
	mu    sync.Mutex // guards the fields below
	lru   *simplelru.LRU[uint64, *slot]
	index tagIndex
	_     [40]byte // keeps the locks of two shards out of one cache line
}

// slot is what is stored under one key.
type slot struct {
	key     string
	set     *Set
	size    int64
	entries int64
	tags    []uint64
	touched int64
}

// slotOverhead is charged for each key beside its entries: list element, map cells and index.
const slotOverhead = 384

func (s *shard) init(m *Memory) {
	// The size of simplelru counts keys, which is no bound here: bytes and entries are.
	s.lru, _ = simplelru.NewLRU(math.MaxInt, func(hash uint64, old *slot) { m.release(s, hash, old) })
	s.index = make(tagIndex)
}

// Get returns what is stored under key, or nil.
func (m *Memory) Get(_ context.Context, key string) (*Set, error) {
	return m.get(unsafe.Slice(unsafe.StringData(key), len(key)), time.Now()), nil
}

// get looks key up without retaining it. A key is moved to the front of its list at most once per second:
// the move costs more than the lookup.
func (m *Memory) get(key []byte, now time.Time) *Set {
	hash := maphash.Bytes(m.seed, key)
	s := m.shardOf(hash)
	s.mu.Lock()
	found, ok := s.lru.Peek(hash)
	if !ok || found.key != string(key) {
		s.mu.Unlock()
		return nil
	}
	if second := now.Unix(); found.touched != second {
		found.touched = second
		s.lru.Get(hash)
	}
	set := found.set
	s.mu.Unlock()
	return set
}

// shardOf returns the shard for a hash. The number of shards is a power of two.
func (m *Memory) shardOf(hash uint64) *shard {
	return &m.shards[hash&uint64(len(m.shards)-1)]
}

// Update replaces what is stored under key.
func (m *Memory) Update(_ context.Context, key string, change func(*Set) *Set) error {
	hash := maphash.String(m.seed, key)
	s := m.shardOf(hash)
	for {
		evicted, err := m.update(s, hash, key, change)
		m.tell(evicted)
		if err != errNoRoom || !m.evictElsewhere(s) {
			return err
		}
	}
}

// errNoRoom tells that room must be made in other shards.
var errNoRoom = fmt.Errorf("%w: no room left", ErrTooLarge)

// tell reports evicted sets. No lock is held.
func (m *Memory) tell(evicted []*Set) {
	m.evictions.Add(int64(len(evicted)))
	if m.evicted == nil {
		return
	}
	for _, set := range evicted {
		for _, e := range set.entries {
			m.evicted(e)
		}
	}
}

// update does one attempt.
func (m *Memory) update(s *shard, hash uint64, key string, change func(*Set) *Set) (evicted []*Set, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, _ := s.lru.Peek(hash)
	var before *Set
	if old != nil && old.key == key {
		before = old.set
	}
	after := change(before)
	switch {
	case after == before:
		return nil, nil
	case after == nil:
		s.lru.Remove(hash)
		return nil, nil
	}
	next := &slot{key: key, set: after, entries: int64(len(after.entries)), touched: time.Now().Unix()}
	next.size = slotOverhead + int64(len(key)) + after.Size()
	if next.size > m.maxBytes || next.entries > m.maxEntries {
		s.lru.Remove(hash) // what is stored now would be out of date
		old = nil
		if !m.shrink(next) {
			return nil, ErrTooLarge
		}
	}
	return m.insert(s, hash, old, next)
}

// shrink leaves as many variants in a slot as the store can hold, the newest ones. It is false if it cannot hold any.
func (m *Memory) shrink(next *slot) bool {
	for next.size > m.maxBytes || next.entries > m.maxEntries {
		if len(next.set.entries) == 1 {
			return false
		}
		next.size -= next.set.entries[0].size
		next.entries--
		next.set = &Set{entries: next.set.entries[1:]}
	}
	return true
}

// insert puts next in the place of old, after it has reserved what next needs beyond old.
func (m *Memory) insert(s *shard, hash uint64, old, next *slot) (evicted []*Set, err error) {
	if old != nil {
		s.lru.Get(hash) // so that old is not the one to be evicted while other slots are there
	}
	var oldSize, oldEntries int64
	if old != nil {
		oldSize, oldEntries = old.size, old.entries
	}
	for !m.reserve(next.size-oldSize, next.entries-oldEntries) {
		if s.lru.Len() == 0 || old != nil && s.lru.Len() == 1 {
			return evicted, errNoRoom
		}
		if _, oldest, ok := s.lru.RemoveOldest(); ok {
			evicted = append(evicted, oldest.set)
		}
	}
	if old != nil {
		s.index.remove(old.tags, hash)
	}
	for _, tag := range next.set.Tags() {
		next.tags = append(next.tags, maphash.String(m.seed, tag))
	}
	s.index.add(next.tags, hash)
	s.lru.Add(hash, next) // replaces without a call to the evict callback
	return evicted, nil
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

// release gives back what a removed slot was charged with. The shard's lock is held.
func (m *Memory) release(s *shard, hash uint64, old *slot) {
	m.bytes.Add(-old.size)
	m.entries.Add(-old.entries)
	s.index.remove(old.tags, hash)
}

// evictElsewhere removes the oldest key of another shard than full, each in its turn. It is false if there is none left.
func (m *Memory) evictElsewhere(full *shard) bool {
	for range m.shards {
		s := &m.shards[m.turn.Add(1)%uint32(len(m.shards))]
		if s == full {
			continue
		}
		s.mu.Lock()
		_, oldest, ok := s.lru.RemoveOldest()
		s.mu.Unlock()
		if ok {
			m.tell([]*Set{oldest.set})
			return true
		}
	}
	return false
}

// DeleteTagged removes every set that has an entry with this tag. It looks for them under the lock that an update holds from its
// beginning to its end: an update that has not heard of an invalidation when it decides to store is over when the invalidation looks.
func (m *Memory) DeleteTagged(_ context.Context, tag string) error {
	hash := maphash.String(m.seed, tag)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, key := range s.index.keys(hash) {
			s.lru.Remove(key)
		}
		s.mu.Unlock()
	}
	return nil
}

// Clear removes everything.
func (m *Memory) Clear(context.Context) error {
	for i := range m.shards {
		m.shards[i].mu.Lock()
		m.shards[i].lru.Purge()
		m.shards[i].mu.Unlock()
	}
	return nil
}

// Range calls f with each key and its set until f returns false. No lock is held meanwhile.
func (m *Memory) Range(ctx context.Context, f func(key string, set *Set) bool) error {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		slots := s.lru.Values()
		s.mu.Unlock()
		for _, found := range slots {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !f(found.key, found.set) {
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

// tagIndex finds the keys of a shard that have a tag. It works on hashes: two tags with one hash are deleted together,
// which costs a fetch and nothing else.
type tagIndex map[uint64]keySet

// keySet is a set of keys, of which there is mostly one.
type keySet struct {
	one  uint64
	more map[uint64]struct{}
}

func (x tagIndex) add(tags []uint64, key uint64) {
	for _, tag := range tags {
		switch keys, ok := x[tag]; {
		case !ok:
			x[tag] = keySet{one: key}
		case keys.more != nil:
			keys.more[key] = struct{}{}
		case keys.one != key:
			x[tag] = keySet{more: map[uint64]struct{}{keys.one: {}, key: {}}}
		}
	}
}

func (x tagIndex) remove(tags []uint64, key uint64) {
	for _, tag := range tags {
		keys, ok := x[tag]
		if !ok {
			continue
		}
		if keys.more != nil {
			delete(keys.more, key)
		}
		if keys.more == nil && keys.one == key || keys.more != nil && len(keys.more) == 0 {
			delete(x, tag)
		}
	}
}

func (x tagIndex) keys(tag uint64) []uint64 {
	set, ok := x[tag]
	if !ok {
		return nil
	}
	if set.more == nil {
		return []uint64{set.one}
	}
	keys := make([]uint64, 0, len(set.more))
	for key := range set.more {
		keys = append(keys, key)
	}
	return keys
}
