package cache

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// within returns a context in which all calls of the store together take no longer than one may.
func (c *Cache) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.durable == nil {
		return ctx, func() {}
	}
	return c.durable.Client.Within(ctx)
}

// lookup is what the cache found for a request.
type lookup struct {
	rfc9111.Lookup
	seen *durable.Snapshot // the generations that a byte store had at that time, or nil
}

// find looks for a stored response: first under the request's own key, then among those that do not vary on the whole query.
func (c *Cache) find(f *lookup, a *rfc9111.Request, key []byte, r *http.Request, now time.Time) {
	ctx := r.Context()
	if c.durable != nil {
		limited, cancel := c.within(ctx)
		defer cancel()
		ctx = limited
	}
	f.Fwd = cachestatus.FwdURIMiss
	if f.Variants, f.seen = c.load(ctx, r, key); f.Variants != nil {
		f.Fwd = cachestatus.FwdVary
		f.Entry = rfc9111.Select(f.Variants, a, r, c.hashKey())
	}
	if f.Entry == nil && c.searches.Load() && (c.durable == nil || f.seen != nil) {
		if alike := c.findAlike(ctx, a, r); alike.Entry != nil {
			*f = alike
		}
	}
	if f.Entry != nil && c.filtersHits && !c.admits(r, f.Entry) {
		*f = lookup{Lookup: rfc9111.Lookup{Fwd: cachestatus.FwdMiss}, seen: f.seen}
	}
	if f.Entry != nil && !f.Entry.Body.InMemory() {
		c.fetchBody(ctx, a, f, now)
	}
}

// findAlike looks for a response to a request with another query that makes no difference (No-Vary-Search).
func (c *Cache) findAlike(ctx context.Context, a *rfc9111.Request, r *http.Request) lookup {
	key, err := c.searchKey(r, a.Path)
	if err != nil {
		return lookup{}
	}
	set, seen := c.load(ctx, r, key)
	if set == nil {
		return lookup{}
	}
	return lookup{Lookup: rfc9111.Lookup{Entry: rfc9111.Select(set, a, r, c.hashKey()), Variants: set, Key: string(key)}, seen: seen}
}

// admits reports whether Options.Filter and Options.Statuses allow a stored response to be served: they may have changed since it was stored.
func (c *Cache) admits(r *http.Request, e *stored.Entry) bool {
	if !c.policy.AllowsStatus(e.Status) {
		return false
	}
	return c.filter == nil || c.filter(r, e.WithoutBody(r, e.Body.Size()))
}

// load reads what is stored under a key. A store that fails counts as empty.
func (c *Cache) load(ctx context.Context, r *http.Request, key []byte) (*stored.Variants, *durable.Snapshot) {
	if c.memory != nil {
		return c.memory.Lookup(key), nil
	}
	set, seen, err := c.durable.Get(ctx, string(key), r)
	c.fault(ctx, "get", err)
	return set, seen
}

// fetchBody reads the body of a response that was found; see withBody. If the body is gone, nothing was found.
func (c *Cache) fetchBody(ctx context.Context, a *rfc9111.Request, f *lookup, now time.Time) {
	ready := c.withBody(ctx, a, f.Entry, now)
	if ready == nil {
		*f = lookup{Lookup: rfc9111.Lookup{Fwd: cachestatus.FwdMiss}, seen: f.seen}
		return
	}
	f.Variants, f.Entry = f.Variants.Exchanged(f.Entry, ready), ready
}

// withBody is e with its body, as far as the answer to a needs it: a small body as a whole, and of a large one the chunk that is served first.
// It is nil if that is gone.
func (c *Cache) withBody(ctx context.Context, a *rfc9111.Request, e *stored.Entry, now time.Time) *stored.Entry {
	s := rfc9111.Shaped(a, e, now)
	if a.Head || s.Status == http.StatusNotModified || s.Status == http.StatusRequestedRangeNotSatisfiable {
		return e
	}
	first := int64(0)
	if s.Status == http.StatusPartialContent {
		first = s.Part.First - e.First()
	}
	ready, err := c.durable.WithBody(ctx, e, first)
	if errors.Is(err, durable.ErrGone) && c.durable.Replaced(ctx, e) {
		return nil
	}
	if err != nil {
		c.fault(ctx, "get", err)
		if durable.Missing(err) {
			c.durable.Forget(e.RecordKey, e.Body.Chunks.ID)
		}
		return nil
	}
	if ready.Body.InMemory() {
		c.durable.L1.Improve(e.RecordKey, e, ready)
	}
	return ready
}
