package memory

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// shard is one part of the slots, and what to evict from it.
//
// New slots join the recent segment. When room is needed, a recent slot that has been used again moves to the lasting segment; one that has not
// is evicted, and its hash is remembered for a while: if the key comes back in that time it was evicted too early, and joins the lasting segment at once.
// Lasting slots are evicted only when they have nearly all of the room, and those that were used since the last look get more chances, large ones fewer.
// A use only increments a counter in the slot, so readers take no lock and move nothing. docs/performance-methods.md has the figures that led to this.
type shard struct {
	index keyIndex // read without a lock, written under mu
	_     [56]byte // keeps what readers read out of the cache line of the lock

	mu      sync.Mutex // guards the fields below
	recent  segment
	lasting segment
	gone    ghosts
	tags    tagIndex
	_       [56]byte // keeps two shards out of one cache line
}

// segment is a list of slots, the latest first.
type segment struct {
	*simplelru.LRU[*slot, struct{}]
	bytes int64
}

// newSegment returns an empty segment. The size of simplelru counts keys, which is no bound here: bytes and entries are.
func newSegment() segment {
	slots, _ := simplelru.NewLRU[*slot, struct{}](math.MaxInt, nil)
	return segment{LRU: slots}
}

// add puts a slot that is in no segment first.
func (g *segment) add(x *slot) {
	g.Add(x, struct{}{})
	g.bytes += x.size()
}

// remove takes out a slot that is there.
func (g *segment) remove(x *slot) {
	g.Remove(x)
	g.bytes -= x.size()
}

// slot is what is stored under one key. It is no larger than a cache line of the CPU, for a hit reads it.
type slot struct {
	key    string
	set    *stored.Variants
	record *keptRecord // instead of variants

	// What holds no pointer stands last, so that a garbage collection does not look at it.
	hash    uint64
	uses    atomic.Uint32 // since it was last looked at for eviction, up to maxUses
	lasting bool          // which segment it is in; guarded by the shard's lock
}

// size is how many bytes the slot is charged with. It never changes, as nothing that it counts does.
func (x *slot) size() int64 {
	size := slotOverhead + int64(len(x.key)) + x.set.Size()
	if x.record != nil {
		size += int64(len(x.record.Data) + len(x.record.Owner) + len(x.record.Label))
	}
	return size
}

// entries is how many entries the slot counts as.
func (x *slot) entries() int64 {
	if x.record != nil {
		return 1
	}
	return int64(len(x.set.All()))
}

// tags are the short tags of all entries, some of them more than once.
func (x *slot) tags(yield func(uint64) bool) {
	for _, e := range x.set.All() {
		for _, tag := range e.Tags {
			if !yield(tag.Short()) {
				return
			}
		}
	}
}

// slotOverhead is charged for each key beside its entries: the slot, its place in a segment, and cells of the index and of what is remembered of evicted ones.
const slotOverhead = 224

// maxUses is how many uses are counted: each gives a lasting slot one more chance, or two of them do; see priceOfAChance.
const maxUses = 3

// use counts a use. Two concurrent ones may count as one, and a slot at maxUses is not written to.
func (x *slot) use() {
	if n := x.uses.Load(); n < maxUses {
		x.uses.Store(n + 1)
	}
}

// recentShare is the share of the room that recent slots keep while there are lasting ones: one part in recentShare.
const recentShare = 10

// maxChances bounds how many slots are passed over in the search for a victim.
const maxChances = 1000

func (s *shard) init() { s.empty() }

// empty drops all slots. What was evicted before is remembered.
func (s *shard) empty() {
	s.recent, s.lasting = newSegment(), newSegment()
	s.tags = make(tagIndex)
	s.index.clear()
}

func (s *shard) bytes() int64 { return s.recent.bytes + s.lasting.bytes }

func (s *shard) len() int { return s.recent.Len() + s.lasting.Len() }

func (s *shard) segmentOf(x *slot) *segment {
	if x.lasting {
		return &s.lasting
	}
	return &s.recent
}

// link puts a slot first in its segment.
func (s *shard) link(x *slot) { s.segmentOf(x).add(x) }

func (s *shard) unlink(x *slot) { s.segmentOf(x).remove(x) }

// succeed links next in the place of old, which is unlinked already, or nil.
func (s *shard) succeed(next, old *slot) {
	if old != nil {
		next.lasting = old.lasting
		next.uses.Store(old.uses.Load())
		s.tags.remove(old)
	} else {
		next.lasting = s.gone.forget(next.hash, s.bytes())
	}
	s.link(next)
	s.tags.add(next)
}

// victim unlinks and returns the slot to evict next, or nil if there is none.
func (s *shard) victim() *slot {
	for chances := 0; ; chances++ {
		oldest := s.oldest()
		if oldest == nil {
			return nil
		}
		s.unlink(oldest)
		uses := oldest.uses.Load()
		switch {
		case uses == 0 || chances == maxChances:
			if !oldest.lasting {
				s.gone.remember(oldest, s.len())
			}
			return oldest
		case oldest.lasting:
			oldest.uses.Store(uses - min(uses, s.priceOfAChance(oldest)))
		default:
			oldest.lasting = true
			oldest.uses.Store(0)
		}
		s.link(oldest)
	}
}

// priceOfAChance is how many uses a lasting slot gives for one more chance. A large one, which holds the room of several others, gives two if it has them.
func (s *shard) priceOfAChance(x *slot) uint32 {
	if x.size() > 2*s.bytes()/int64(max(s.len(), 1)) {
		return 2
	}
	return 1
}

// oldest is the slot to look at next: a recent one, unless these have less than their share.
func (s *shard) oldest() *slot {
	segment := &s.recent
	if s.lasting.Len() > 0 && s.recent.bytes*recentShare < s.bytes() {
		segment = &s.lasting
	}
	oldest, _, _ := segment.GetOldest()
	return oldest
}

// ghosts remembers the hashes of keys that were evicted lately: the latest that had as many bytes together as the shard has now,
// or fewer, for a hash may take the place of another one. A key that comes back later than that would not have stayed long enough in any case.
type ghosts struct {
	cells   []uint64 // the upper half of a hash, and when it was evicted; zero is free
	evicted int64    // how many bytes were, which is the clock here
}

// ghostUnit is how many evicted bytes are one tick of the clock, which has 32 bits: a hash that is there still after 256 GiB seems to be a new one.
const ghostUnit = 64

func (g *ghosts) now() uint32 { return uint32(g.evicted / ghostUnit) }

// remember adds the hash of a slot to a table for this many slots.
func (g *ghosts) remember(gone *slot, slots int) {
	if slots >= len(g.cells) {
		g.cells = make([]uint64, max(2*len(g.cells), 16))
	}
	g.evicted += gone.size()
	g.cells[g.place(gone.hash)] = uint64(mark(gone.hash))<<32 | uint64(g.now())
}

// forget removes a hash, and reports whether it is one of those that were evicted with the latest so many bytes.
func (g *ghosts) forget(hash uint64, bytes int64) bool {
	if len(g.cells) == 0 {
		return false
	}
	cell := &g.cells[g.place(hash)]
	if *cell == 0 || uint32(*cell>>32) != mark(hash) {
		return false
	}
	age := g.now() - uint32(*cell)
	*cell = 0
	return int64(age) <= bytes/ghostUnit
}

// place is the index of a hash. The lowest bits of all hashes of a shard are the same, so it does not use them.
func (g *ghosts) place(hash uint64) int {
	return int(hash >> 8 & uint64(len(g.cells)-1))
}
