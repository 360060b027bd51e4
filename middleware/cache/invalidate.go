package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// safe tells whether a method is known to change nothing (RFC 9110 §9.2.1). What is not known may change everything.
func safe(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// invalidates tells whether an answer to a request makes stored responses invalid (RFC 9111 §4.4): an unsafe method that did not fail.
// A method that the user lets be answered from the store changes nothing, on the user's word.
func invalidates(method string, status int, p *posture) bool {
	return !safe(method) && !p.answers(method) && status >= 200 && status < 400
}

// invalidated returns the tags of the URIs that an answer makes invalid (RFC 9111 §4.4):
// the target URI, and those that Location and Content-Location name if they are of the same origin.
func (c *Cache) invalidated(r *http.Request, h http.Header) []tag {
	found := tagList{tags: c.tagsOf(r)}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if other := c.located(r, h[name]); other != nil {
			for _, t := range c.tagsOf(other) {
				found.add(t)
			}
		}
	}
	return found.tags
}

// A tag is what stored responses are invalidated by: the hash of a URI or of a group, so that nothing of a query stands in a store.
type tag [16]byte

// tagOverhead is charged for each tag of an entry: the tag itself, what the entry remembers of it, and its place in an index.
const tagOverhead = 128

// tagList is a list of different tags. A set of variants with many groups can have thousands.
type tagList struct {
	tags []tag
	at   map[tag]int // where each tag is, once there are many
}

// manyTags are no longer searched one by one.
const manyTags = 32

// add appends t unless it is there.
func (l *tagList) add(t tag) {
	if l.find(t) >= 0 {
		return
	}
	l.tags = append(l.tags, t)
	switch n := len(l.tags); {
	case l.at != nil:
		l.at[t] = n - 1
	case n > manyTags:
		l.at = make(map[tag]int, 4*manyTags)
		for i, t := range l.tags {
			l.at[t] = i
		}
	}
}

// find returns where t is, or -1.
func (l *tagList) find(t tag) int {
	if l.at == nil {
		return slices.Index(l.tags, t)
	}
	if i, ok := l.at[t]; ok {
		return i
	}
	return -1
}

// newTag hashes what a tag is about.
func newTag(about []byte) tag {
	sum := sha256.Sum256(about)
	return tag(sum[:16])
}

// short is the tag as a key for maps. Two tags with one short form are invalidated together, which costs a fetch and nothing else.
func (t tag) short() uint64 { return binary.LittleEndian.Uint64(t[:]) }

// What a tag is about.
const (
	uriKind    = 'u'
	searchKind = 's' // the responses that do not vary on the whole query of a URI
	keyKind    = 'k' // with one of the above: a key that a strategy makes of a URI
)

// uriTag is the tag under which all stored responses of a URI are found, whatever their key.
func uriTag(r *http.Request) tag { return kindTag(uriKind, r) }

// kindTag is the tag of one kind for a URI.
func kindTag(kind byte, r *http.Request) tag {
	var room [keyRoom]byte
	return newTag(target.AppendURI(append(room[:0], kind), target.Normal(r)))
}

// searchTag is the tag of the responses that do not vary on the whole query of a URI.
func searchTag(r *http.Request) tag {
	return kindTag(searchKind, withoutQuery(r))
}

// uriTags are the tags of all responses that can be the answer to a request for a URI.
func uriTags(r *http.Request) []tag {
	return []tag{uriTag(r), searchTag(r)}
}

// sameOrigin resolves a field that holds a URI reference. It returns a request for that URI, or nil if the origin is another one.
func sameOrigin(r *http.Request, lines []string) *http.Request {
	u := resolved(r, lines)
	if u == nil || !target.SameAuthority(r.URL.Scheme, u.Host, target.Authority(r)) {
		return nil
	}
	u.Host = r.URL.Host
	other := *r
	other.Method, other.URL = http.MethodGet, u
	return &other
}

// resolved is the URI of a field that holds a reference, or nil if that has another scheme than the request.
func resolved(r *http.Request, lines []string) *url.URL {
	if len(lines) != 1 {
		return nil
	}
	base := *target.Plain(r).URL
	base.Host = target.Authority(r)
	u, err := base.Parse(field.TrimOWS(lines[0]))
	if err != nil || !field.EqualFold(u.Scheme, base.Scheme) {
		return nil
	}
	return u
}

// locatesItself tells whether Content-Location names the request's own target (RFC 9110 §9.3.3).
func locatesItself(r *http.Request, resp *http.Response) bool {
	located := sameOrigin(r, resp.Header["Content-Location"])
	return located != nil && uriTag(located) == uriTag(r)
}

// displayURL is the target URI for people: without fragment and userinfo.
func displayURL(r *http.Request) string {
	r = target.Plain(r)
	u := url.URL{Scheme: r.URL.Scheme, Opaque: r.URL.Opaque, Host: r.URL.Host,
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	if r.Host != "" {
		u.Host = r.Host
	}
	return u.String()
}
