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
	limit := c.durable.Client.Within(ctx)
	return limit, limit.End
}

// lookup is what the cache found for a request.
type lookup struct {
	rfc9111.Lookup
	seen *durable.Snapshot // the generations that a byte store had at that time, or nil; see snapshot
}

// find looks for a stored response: first under the request's own key, then among those that do not vary on the whole query.
func (c *Cache) find(f *lookup, a *rfc9111.Request, key []byte, r *http.Request, now time.Time) {
	f.Fwd = cachestatus.FwdURIMiss
	if c.durable != nil {
		c.findDurable(f, a, key, r, now)
		return
	}
	if c.selectOwn(f, c.memory.Lookup(key), a, r); f.Entry == nil && c.adoptFor(r, key) {
		c.selectOwn(f, c.memory.Lookup(key), a, r)
	}
	if f.Entry == nil && c.searches.Load() {
		if search, err := c.searchKey(r, a.Path); err == nil {
			c.adoptFor(r, search)
			c.selectAlike(f, c.memory.Lookup(search), search, a, r)
		}
	}
	c.filterFound(f, r)
}

// selectOwn takes in what is stored under the request's own key.
func (c *Cache) selectOwn(f *lookup, set *stored.Variants, a *rfc9111.Request, r *http.Request) {
	if set != nil {
		f.Variants, f.Fwd = set, cachestatus.FwdVary
		f.Entry = rfc9111.Select(set, a, r, c.hashKey())
	}
}

// selectAlike takes in a response to a request with another query that makes no difference (No-Vary-Search), if the set that is stored under key has one.
func (c *Cache) selectAlike(f *lookup, set *stored.Variants, key []byte, a *rfc9111.Request, r *http.Request) {
	if e := selectFrom(set, a, r, c.hashKey()); e != nil {
		f.Lookup = rfc9111.Lookup{Entry: e, Variants: set, Key: string(key)}
	}
}

// filterFound drops what was found if the options do not allow it to be served.
func (c *Cache) filterFound(f *lookup, r *http.Request) {
	if f.Entry != nil && c.refuses(r, f.Entry) {
		f.nothing()
	}
}

// nothing makes f the lookup that has found nothing. What it has seen of generations stays.
func (f *lookup) nothing() {
	*f = lookup{Lookup: rfc9111.Lookup{Fwd: cachestatus.FwdMiss}, seen: f.snapshot()}
}

// snapshot returns the generations at the time of the lookup. Those of a copy that was used without asking the store are the ones that it remembers.
func (f *lookup) snapshot() *durable.Snapshot {
	if f.seen == nil && f.Variants != nil && f.Variants.Source != nil {
		f.seen = durable.SnapshotOf(f.Variants)
	}
	return f.seen
}

// refuses reports whether the options do not allow a stored response to be served: they may have changed since it was stored, or be those of another cache
// that shares the store.
func (c *Cache) refuses(r *http.Request, e *stored.Entry) bool {
	if e.Pacing() != "" && c.eventStreams == EventStreamsNotStored {
		return true
	}
	return c.filtersHits && !c.admits(r, e)
}

// admits reports whether Options.Filter and Options.Statuses allow a stored response to be served.
func (c *Cache) admits(r *http.Request, e *stored.Entry) bool {
	if !c.policy.AllowsStatus(e.Status) {
		return false
	}
	return c.filter == nil || c.filter(r, e.WithoutBody(r, e.Body.Size()))
}

// fetchBody reads the body of a response that was found; see withBody. If the body is gone, nothing was found.
func (c *Cache) fetchBody(ctx context.Context, a *rfc9111.Request, f *lookup, now time.Time) {
	ready := c.withBody(ctx, a, f.Entry, now)
	if ready == nil {
		f.nothing()
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
			c.durable.Forget(e.RecordKey(), e.Body.Chunks.ID)
		}
		return nil
	}
	if ready.Body.InMemory() {
		c.durable.L1.Improve(e.RecordKey(), e, ready)
	}
	return ready
}
