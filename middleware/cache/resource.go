package cache

import (
	"context"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/keying"
)

// A strategy may take different URIs for one: with parameters that it ignores, or hosts that are mirrors. What one of them has stored is served for the others,
// so what ends one ends all (RFC 9111 §4.4). Beside the tag of its own URI an entry therefore has one of what the strategy makes of that, if it is something else.

// tagsOf are the tags of all responses that can be the answer to a request for a URI, or to one that the strategy takes for the same.
func (c *Cache) tagsOf(r *http.Request) []tag {
	return c.resourceTags(c.resourceTags(uriTags(r), uriKind, r), searchKind, withoutQuery(r))
}

// resourceTags appends the tags of what the strategy takes a request's URI for, as it is sent and in its normal form, as far as tags lacks them.
func (c *Cache) resourceTags(tags []tag, kind byte, r *http.Request) []tag {
	if c.wholeURI {
		return tags
	}
	normal := target.Normal(r)
	if normal != r {
		tags = c.resourceTagsAt(tags, kind, r, r)
	}
	return c.resourceTagsAt(tags, kind, r, normal)
}

// resourceTagsAt is resourceTags for the URI of at.
func (c *Cache) resourceTagsAt(tags []tag, kind byte, r, at *http.Request) []tag {
	bare := &http.Request{Method: http.MethodGet, URL: at.URL, Host: at.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	bare = bare.WithContext(context.Background())
	if s, ok := c.key.(keying.ResourceStrategy); ok {
		if resource := appendedTo([]byte{kind}, s.AppendResource, bare); resource != nil {
			tags = withTag(tags, newTag(resource))
		}
		return tags
	}
	// Two URIs with one key have one key, too, where nothing is known but the URI, or where the same principal asks.
	own := *r
	own.Method, own.URL, own.Host = http.MethodGet, at.URL, at.Host
	own.Body, own.GetBody, own.ContentLength, own.TransferEncoding = nil, nil, 0, nil
	if own.Header = r.Header.Clone(); own.Header == nil {
		own.Header = http.Header{}
	}
	for _, synthetic := range [...]*http.Request{bare, &own} {
		if key := appendedTo([]byte{keyKind, kind}, c.key.AppendKey, synthetic); key != nil {
			tags = withTag(tags, newTag(key))
		}
	}
	return tags
}

// keepsURI asks a strategy whether it takes no two URIs for one.
func keepsURI(s keying.Strategy) bool {
	whole, ok := s.(interface{ WholeURI() bool })
	return ok && whole.WholeURI()
}

func withTag(tags []tag, t tag) []tag {
	if slices.Contains(tags, t) {
		return tags
	}
	return append(tags, t)
}

// appendedTo is what a strategy appends for a request that nobody has sent. It is nil if the strategy fails, which may well be, for it was made for other ones.
func appendedTo(dst []byte, appendKey func([]byte, *http.Request) ([]byte, error), r *http.Request) (key []byte) {
	defer func() {
		if recover() != nil {
			key = nil
		}
	}()
	key, err := appendKey(dst, r)
	if err != nil {
		return nil
	}
	return key
}

// aliased returns r, or a request for the origin that the strategy takes r's for.
func (c *Cache) aliased(r *http.Request) *http.Request {
	if s, ok := c.key.(interface {
		Aliased(*http.Request) *http.Request
	}); ok {
		return s.Aliased(r)
	}
	return r
}

// mirrors returns requests for the same by other hosts that the strategy takes for r's.
func (c *Cache) mirrors(r *http.Request) []*http.Request {
	if s, ok := c.key.(interface {
		Mirrors(*http.Request) []*http.Request
	}); ok {
		return s.Mirrors(r)
	}
	return nil
}

// located resolves a field that holds a URI reference. It returns a request for that URI, or nil if the origin is one that the strategy, too, takes for another.
func (c *Cache) located(r *http.Request, lines []string) *http.Request {
	if same := sameOrigin(r, lines); same != nil {
		return same
	}
	u := resolved(r, lines)
	if u == nil {
		return nil
	}
	other := *r
	other.Method, other.URL, other.Host = http.MethodGet, u, ""
	alias := func(r *http.Request) string { return string(target.AppendOrigin(nil, c.aliased(target.Normal(r)))) }
	if alias(&other) != alias(r) {
		return nil
	}
	return &other
}
