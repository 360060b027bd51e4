package memory

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// named is a tag that is about a name.
func named(name string) invalidation.Tag { return invalidation.NewTag([]byte(name)) }

func entryFor(name string) *stored.Entry {
	e := &stored.Entry{Status: 200, Header: http.Header{}, Received: time.Unix(1_700_000_000, 0), Tags: []invalidation.Tag{named(name)}}
	e.Derive()
	return e
}

// The index of tags holds nothing of what has gone.
func TestMemoryIndexDoesNotGrow(t *testing.T) {
	m := New(0, 5, nil)
	ctx := context.Background()
	for i := range 1000 {
		m.Update(ctx, fmt.Sprint(i%50), func(old *stored.Variants) *stored.Variants { return old.With(entryFor(fmt.Sprint("tag", i%70)), 100) })
		m.Update(ctx, "same", func(old *stored.Variants) *stored.Variants {
			return (&stored.Variants{}).With(entryFor(fmt.Sprint("other", i)), 100)
		})
	}
	if n := len(m.shards[0].tags); n > 5 {
		t.Errorf("%d tags for 5 entries", n)
	}
	m.DeleteTagged(ctx, []invalidation.Tag{named("other999")})
	if set := m.Lookup([]byte("same")); set != nil {
		t.Error("a tag does not find its key")
	}
	m.Clear(ctx)
	if n := len(m.shards[0].tags); n != 0 {
		t.Errorf("%d tags after Clear", n)
	}
}

// An invalidation that comes while an update is deciding finds what that update stores.
func TestMemoryInvalidationSeesAnUpdateUnderWay(t *testing.T) {
	m := New(0, 0, nil)
	ctx := context.Background()
	done := make(chan struct{})
	m.Update(ctx, "key", func(*stored.Variants) *stored.Variants {
		go func() {
			m.DeleteTagged(ctx, []invalidation.Tag{named("tag")})
			close(done)
		}()
		for range 10_000 {
			runtime.Gosched()
		}
		return &stored.Variants{Entries: []*stored.Entry{entryFor("tag")}}
	})
	<-done
	if set := m.Lookup([]byte("key")); set != nil {
		t.Error("an invalidated response has come back")
	}
}

// A lasting slot has as many more chances as it was used, and one that came back soon after it was evicted is lasting at once.
func TestWhichSlotIsTheVictim(t *testing.T) {
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
	evict() // e: what is recent has more than its share
	a, _ := s.lasting.Peek("a")
	a.use()
	evict() // a has another chance, c goes
	evict() // b
	evict() // a
	if diff := cmp.Diff([]string{"b", "d", "e", "c", "b", "a"}, order); diff != "" {
		t.Errorf("evicted (-want +got)\n%s", diff)
	}
	if s.victim() != nil || s.bytes() != 0 || s.len() != 0 {
		t.Errorf("%d bytes, %d slots are left", s.bytes(), s.len())
	}
}
