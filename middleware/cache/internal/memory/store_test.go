package memory

import (
	"context"
	"net/http"
	"runtime"
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
