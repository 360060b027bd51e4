package cache

import (
	"context"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// endpointTags appends the tags of what is stored for the endpoint of a request, if the strategy reads GraphQL.
func (c *Cache) endpointTags(tags []invalidation.Tag, r *http.Request) []invalidation.Tag {
	if c.mutates == nil {
		return tags
	}
	bare := stored.WithoutQuery(r)
	return c.resourceTags(append(tags, rfc9111.KindTag(endpointKind, bare)), endpointKind, bare)
}

// knownTags are the tags that the answer to a request has for certain, before it is there.
func (c *Cache) knownTags(r *http.Request) []invalidation.Tag {
	return withPrincipal(r.Context(), c.endpointTags(c.tagsOf(r), r))
}

// ownTags appends those of the known tags that what is stored under the request's own key can have. Others may be among them.
func (c *Cache) ownTags(dst []invalidation.Tag, r *http.Request) []invalidation.Tag {
	if !c.wholeURI {
		return append(dst, c.knownTags(r)...)
	}
	return withPrincipal(r.Context(), c.endpointTags(append(dst, rfc9111.URITag(r)), r))
}

// groupsOf returns the tags of the groups that a response belongs to, and the one of all groups of its origin.
func (c *Cache) groupsOf(r *http.Request, h http.Header) []invalidation.Tag {
	names, _ := invalidation.GroupNames(h["Cache-Groups"])
	if len(names) == 0 {
		return nil
	}
	return append(c.groupTags(r, names), c.everyGroup(r))
}

// groupsEnded returns the tags of the groups that a response invalidates.
func (c *Cache) groupsEnded(r *http.Request, h http.Header) []invalidation.Tag {
	names, all := invalidation.GroupNames(h["Cache-Group-Invalidation"])
	switch {
	case !all:
		return []invalidation.Tag{c.everyGroup(r)}
	case len(names) == 0:
		return nil
	}
	return c.groupTags(r, names)
}

// groupTags returns the tags of groups. A group belongs to an origin (RFC 9875).
func (c *Cache) groupTags(r *http.Request, names []string) []invalidation.Tag {
	origin := c.groupOrigin('g', r)
	tags := make([]invalidation.Tag, len(names))
	for i, name := range names {
		tags[i] = invalidation.NewTag(append(origin[:len(origin):len(origin)], name...))
	}
	return tags
}

// everyGroup is the tag of what belongs to any group of an origin.
func (c *Cache) everyGroup(r *http.Request) invalidation.Tag {
	return invalidation.NewTag(c.groupOrigin('G', r))
}

func (c *Cache) groupOrigin(kind byte, r *http.Request) []byte {
	return target.AppendOrigin([]byte{kind}, c.aliased(target.Normal(r)))
}

// principalTag is the tag of everything that is stored for the principal with this name.
func principalTag(name string) invalidation.Tag {
	return invalidation.HashedPrincipalTag(reqctx.HashPrincipal(name))
}

// withPrincipal returns tags and, if the request was made for named principals, their tags.
func withPrincipal(ctx context.Context, tags []invalidation.Tag) []invalidation.Tag {
	for hashed := range reqctx.From(ctx).Principals() {
		tags = append(tags, invalidation.HashedPrincipalTag(hashed))
	}
	return tags
}

// tagsOf are the tags of all responses that can answer a request for a URI, or for one that the strategy takes for the same.
func (c *Cache) tagsOf(r *http.Request) []invalidation.Tag { return c.appendTags(nil, r) }

// appendTags appends tagsOf.
func (c *Cache) appendTags(tags []invalidation.Tag, r *http.Request) []invalidation.Tag {
	tags = rfc9111.URITags(tags, r)
	if c.wholeURI {
		return tags
	}
	return c.resourceTags(c.resourceTags(tags, rfc9111.URIKind, r), rfc9111.SearchKind, stored.WithoutQuery(r))
}

// resourceTags appends the tags of the resources that the strategy takes a request's URI for, as it is sent and in its normal form.
func (c *Cache) resourceTags(tags []invalidation.Tag, kind byte, r *http.Request) []invalidation.Tag {
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
func (c *Cache) resourceTagsAt(tags []invalidation.Tag, kind byte, r, at *http.Request) []invalidation.Tag {
	bare := &http.Request{Method: http.MethodGet, URL: at.URL, Host: at.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	bare = bare.WithContext(context.Background())
	if s, ok := c.key.(keying.ResourceStrategy); ok {
		if resource := appendedTo([]byte{kind}, s.AppendResource, bare); resource != nil {
			tags = withTag(tags, invalidation.NewTag(resource))
		}
		return tags
	}
	// Two URIs with equal keys have equal keys also where only the URI is known, or where the same principal asks.
	own := *r
	own.Method, own.URL, own.Host = http.MethodGet, at.URL, at.Host
	own.Body, own.GetBody, own.ContentLength, own.TransferEncoding = nil, nil, 0, nil
	if own.Header = r.Header.Clone(); own.Header == nil {
		own.Header = http.Header{}
	}
	for _, synthetic := range [...]*http.Request{bare, &own} {
		if key := appendedTo([]byte{rfc9111.KeyKind, kind}, c.key.AppendKey, synthetic); key != nil {
			tags = withTag(tags, invalidation.NewTag(key))
		}
	}
	return tags
}

// keepsURI reports whether a strategy never takes two URIs for the same.
func keepsURI(s keying.Strategy) bool {
	whole, ok := s.(interface{ WholeURI() bool })
	return ok && whole.WholeURI()
}

func withTag(tags []invalidation.Tag, t invalidation.Tag) []invalidation.Tag {
	if slices.Contains(tags, t) {
		return tags
	}
	return append(tags, t)
}

// appendedTo is what a strategy appends for a request that was not sent. It is nil if the strategy fails or panics, for it was made for real requests.
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
