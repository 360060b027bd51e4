package memory

import (
	"context"
	"fmt"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// The index of tags holds nothing of what has gone.
func TestTagIndexForgetsRemovedEntries(t *testing.T) {
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
