package memory

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// named is a tag that is about a name.
func named(name string) invalidation.Tag { return invalidation.NewTag([]byte(name)) }

func entryFor(name string) *stored.Entry {
	e := &stored.Entry{Status: 200, Header: stored.NewHeader(http.Header{}), Received: time.Unix(1_700_000_000, 0), Tags: []invalidation.Tag{named(name)}}
	e.Derive()
	return e
}

// An invalidation that comes while an update is deciding finds what that update stores.
func TestInvalidationDuringUpdateRemovesTheResult(t *testing.T) {
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

// A victim that is larger than what comes leaves room that any shard may take. Shards that lose by that get room back from the others.
func TestNoShardFallsFarBelowItsShare(t *testing.T) {
	const room = 64 << 20
	m := New(room, 0, nil)
	for i := range 12_000 {
		size := int64(1 << 10)
		if i%10 == 0 {
			size = 256 << 10
		}
		err := m.Update(t.Context(), strconv.Itoa(i), func(*stored.Variants) *stored.Variants {
			return &stored.Variants{Entries: []*stored.Entry{{Size: size}}}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(m.shards) < 8 {
		t.Fatalf("%d shards", len(m.shards))
	}
	for i := range m.shards {
		if has, share := m.shards[i].bytes(), int64(room/len(m.shards)); has < share*3/4 {
			t.Errorf("shard %d has %d bytes of a share of %d", i, has, share)
		}
	}
}
