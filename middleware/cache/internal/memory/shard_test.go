package memory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A lasting slot has as many more chances as it was used, and one that came back soon after it was evicted is lasting at once.
func TestShardEvictionOrder(t *testing.T) {
	var s shard
	s.init()
	put := func(key string, uses uint32) *slot {
		x := &slot{key: key, hash: uint64(key[0]) << 8, size: 100}
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
