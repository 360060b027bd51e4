package cache

import (
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// invalidated returns the tags of the URIs that an answer makes invalid (RFC 9111 §4.4):
// the target URI, and those that Location and Content-Location name if they are of the same origin.
func (c *Cache) invalidated(r *http.Request, h http.Header) []invalidation.Tag {
	found := invalidation.TagList{Tags: c.tagsOf(r)}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if other := c.located(r, h[name]); other != nil {
			for _, t := range c.tagsOf(other) {
				found.Add(t)
			}
		}
	}
	return found.Tags
}
