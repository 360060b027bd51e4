package cache

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// SurrogateKey returns the members of a response's Surrogate-Key, which are separated by spaces, for [Options.Tags].
// Servers behind Fastly send them.
func SurrogateKey(resp *http.Response) []string {
	return strings.Fields(strings.Join(resp.Header["Surrogate-Key"], " "))
}

// CacheTag returns the members of a response's Cache-Tag, which are separated by commas, for [Options.Tags].
// Servers behind Cloudflare and Google Cloud CDN send them.
func CacheTag(resp *http.Response) []string {
	names := strings.Split(strings.Join(resp.Header["Cache-Tag"], ","), ",")
	for i, name := range names {
		names[i] = field.TrimOWS(name)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// XKey returns the members of a response's xkey, which are separated by spaces or commas, for [Options.Tags].
// Servers behind Varnish send them.
func XKey(resp *http.Response) []string {
	return strings.FieldsFunc(strings.Join(resp.Header["Xkey"], " "), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
}

// DeleteTag removes the stored responses that have one of these tags, in all processes that share the store; see [Options.Tags].
// A response with such a tag that is under way from the origin meanwhile is not stored. Case makes no difference.
// Requests that come afterwards do not share it either, but for those of other processes to which nothing stored has shown that it has the tag.
//
// A tag is about the whole store, whatever origin its responses come from, as a tag is about a whole service with the CDNs. Where origins must not share tags,
// have Options.Tags put the origin into them. An empty name is an error, and so is one that no stored response can have, of more than 1024 bytes.
func (c *Cache) DeleteTag(ctx context.Context, names ...string) error {
	tags := make([]invalidation.Tag, len(names))
	for i, name := range names {
		if name == "" || len(name) > invalidation.MaxTagName {
			return errors.New("cache: delete: a tag is empty or has more than 1024 bytes, so no response has it: give one that Options.Tags returns")
		}
		tags[i] = invalidation.NamedTag(name)
	}
	return wrapped("delete", c.drop(ctx, tags...))
}

// tag gives an entry with a header the tags that the program has for it, or says why they cannot be kept.
func (p *originResponse) tag(e *stored.Entry, h http.Header) (why string) {
	if p.cache.tags == nil {
		return ""
	}
	shown := e.WithoutBody(p.request, cmp.Or(e.Body.Size(), p.ContentLength))
	shown.Header = h.Clone()
	tags, why := invalidation.NamedTags(p.cache.tags(shown))
	e.Tags, p.tagged = append(e.Tags, tags...), int32(len(tags))
	return why
}
