package cache

import (
	"context"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// invalidate deletes what a successful unsafe request made invalid (RFC 9111 §4.4), and the cache groups that the answer names (RFC 9875).
func (p *originResponse) invalidate() {
	c := p.cache
	if p.parsed.Mode == rfc9111.ModeDisabled || c.off.Load() || c.closed.Load() || !p.changes(p.StatusCode) {
		return
	}
	c.stats.invalidated.Add(1)
	tags := append(c.invalidated(p.tagRoom[:0:3], p.request, p.Header), c.groupsEnded(p.request, p.Header)...)
	if c.policy.Answers(p.request.Method) {
		tags = c.endpointTags(tags, p.request)
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	p.began = c.history.AddAt(p.began, tags...)
	ctx := p.request.Context()
	if c.durable != nil { // a memory takes no time
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := c.within(ctx) // for all tags together
	defer cancel()
	c.deleteTagged(ctx, tags)
	c.traces(p.request.Context(), func(t *Trace) {
		if t.Invalidated != nil {
			t.Invalidated(p.request)
		}
	})
}

// drop deletes the responses with these tags. It notes that first: an exchange that began earlier and ends later finds the note, and does not store.
func (c *Cache) drop(ctx context.Context, tags ...invalidation.Tag) error {
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.Add(tags...)
	return c.deleteTagged(ctx, tags)
}

// deleteTagged deletes the responses with these tags. If the store does not take that, it is a fault of the store, also where a program asked for it.
func (c *Cache) deleteTagged(ctx context.Context, tags []invalidation.Tag) error {
	err := c.store.DeleteTagged(ctx, tags)
	c.fault(ctx, "delete", err)
	return err
}

// invalidated appends the tags of the URIs that an answer makes invalid (RFC 9111 §4.4):
// the target URI, and those that Location and Content-Location name if they are of the same origin.
func (c *Cache) invalidated(tags []invalidation.Tag, r *http.Request, h http.Header) []invalidation.Tag {
	found := invalidation.TagList{Tags: c.appendTags(tags, r)}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if other := c.located(r, h[name]); other != nil {
			for _, t := range c.tagsOf(other) {
				found.Add(t)
			}
		}
	}
	return found.Tags
}
