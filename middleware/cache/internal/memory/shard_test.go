package memory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// slotOf returns a slot that is charged with so many bytes, slotOverhead at least.
func slotOf(key string, hash uint64, size int64) *slot {
	x := &slot{key: key, hash: hash}
	x.set = &stored.Variants{Entries: []*stored.Entry{{Size: size - x.size()}}}
	return x
}

// A lasting slot has as many more chances as it was used, and one that came back soon after it was evicted is lasting at once.
func TestShardEvictionOrder(t *testing.T) {
	var s shard
	s.init()
	put := func(key string, uses uint32) *slot {
		x := slotOf(key, uint64(key[0])<<8, 500)
		x.uses.Store(uses)
		s.succeed(x, nil)
		return x
	}
	var order []string
	evict := func() { order = append(order, s.victim().key) }
	put("a", 1)
	put("b", 0)
	put("c", 2)
	put("d", 0)
	evict()     // a moves on, b goes
	evict()     // c moves on, d goes
	put("b", 0) // came back
	put("e", 0)
	evict()                   // e: what is recent has more than its share
	s.lasting.Keys()[0].use() // a
	evict()                   // a has another chance, c goes
	evict()                   // b
	evict()                   // a
	if diff := cmp.Diff([]string{"b", "d", "e", "c", "b", "a"}, order); diff != "" {
		t.Errorf("evicted (-want +got)\n%s", diff)
	}
	if s.victim() != nil || s.bytes() != 0 || s.len() != 0 {
		t.Errorf("%d bytes, %d slots are left", s.bytes(), s.len())
	}
}

// A slot that holds the room of several others has to be used more often than they are to last as long.
func TestALargeSlotGivesTwoUsesForEachChance(t *testing.T) {
	var s shard
	s.init()
	for i, size := range []int64{500, 5000, 500, 500} {
		x := slotOf(string(rune('a'+i)), uint64(i)<<8, size)
		x.lasting = true
		x.uses.Store(2)
		s.link(x)
		s.tags.add(x)
	}
	var order string
	for range 4 {
		order += s.victim().key
	}
	if order != "bacd" {
		t.Errorf("evicted in the order %s, want bacd", order)
	}
}

// What is remembered of evicted slots is as much as the shard has: so a set that fits comes in again, and what comes back later than that is new.
func TestGhostsAreRememberedForAsManyEvictedBytesAsThereAre(t *testing.T) {
	hash := func(i int) uint64 { return uint64(i+1)<<32 | uint64(i)<<8 }
	for _, test := range []struct {
		name  string
		after int // so many others were evicted
		bytes int64
		want  bool
	}{
		{"at once", 0, 5000, true},
		{"within the room", 9, 5000, true},
		{"after more than the room", 12, 5000, false},
		{"nothing is left", 1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var g ghosts
			for i := range test.after + 1 {
				g.remember(slotOf("", hash(i), 500), 15)
			}
			if got := g.forget(hash(0), test.bytes); got != test.want {
				t.Errorf("remembered: %v, want %v", got, test.want)
			}
			if g.forget(hash(0), test.bytes) {
				t.Error("it is still remembered")
			}
		})
	}
}
