package rfc9111

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// Safe reports whether a method is known to be safe (RFC 9110 §9.2.1). An unknown method counts as unsafe (RFC 9111 §4.4).
func Safe(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// Invalidates reports whether a response to a request invalidates stored responses: a non-error response to an unsafe method (RFC 9111 §4.4).
// A method that the user lets be answered from the store counts as safe.
func Invalidates(method string, status int, p *Policy) bool {
	return !Safe(method) && !p.Answers(method) && status >= 200 && status < 400
}

// What a tag is about.
const (
	URIKind    = 'u'
	SearchKind = 's' // the responses that do not vary on the whole query of a URI
	KeyKind    = 'k' // with one of the above: a key that a strategy makes of a URI
)

// URITag is the tag under which all stored responses of a URI are found, whatever their key.
func URITag(r *http.Request) invalidation.Tag { return KindTag(URIKind, r) }

// uriRoom is room for most URIs, on the stack.
const uriRoom = 256

// KindTag is the tag of one kind for a URI.
func KindTag(kind byte, r *http.Request) invalidation.Tag {
	var room [uriRoom]byte
	return invalidation.NewTag(target.AppendURI(append(room[:0], kind), target.Normal(r)))
}

// SearchTag is the tag of the responses that do not vary on the whole query of a URI.
func SearchTag(r *http.Request) invalidation.Tag {
	var room [uriRoom]byte
	n := target.Plain(target.Normal(r))
	about := target.AppendPath(target.AppendOrigin(append(room[:0], SearchKind), n), n.URL)
	return invalidation.NewTag(target.AppendQuery(about, &noQuery))
}

// noQuery is the URI of a request without its query, as far as that is asked for.
var noQuery url.URL

// URITags appends the tags of all responses that can be the answer to a request for a URI.
func URITags(tags []invalidation.Tag, r *http.Request) []invalidation.Tag {
	return append(tags, URITag(r), SearchTag(r))
}

// SameOrigin resolves a field that holds a URI reference. It returns a request for that URI, or nil if the origin is another one.
func SameOrigin(r *http.Request, lines []string) *http.Request {
	u := Resolved(r, lines)
	if u == nil || !target.SameAuthority(r.URL.Scheme, u.Host, target.Authority(r)) {
		return nil
	}
	u.Host = r.URL.Host
	other := *r
	other.Method, other.URL = http.MethodGet, u
	return &other
}

// Resolved is the URI of a field that holds a reference, or nil if that has another scheme than the request.
func Resolved(r *http.Request, lines []string) *url.URL {
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

// locatesItself reports whether Content-Location names the request's own target (RFC 9110 §9.3.3).
func locatesItself(r *http.Request, resp *http.Response) bool {
	located := SameOrigin(r, resp.Header["Content-Location"])
	return located != nil && URITag(located) == URITag(r)
}

// DisplayURLAs returns DisplayURL(r): the given one, if that is it, without making it again.
func DisplayURLAs(known string, r *http.Request) string {
	u, rest := r.URL, known
	if u.Opaque != "" || u.ForceQuery {
		return DisplayURL(r)
	}
	for _, part := range [...]string{u.Scheme, "://", cmp.Or(r.Host, u.Host), u.EscapedPath()} {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, part); !ok {
			return DisplayURL(r)
		}
	}
	if query, ok := strings.CutPrefix(rest, "?"); query != u.RawQuery || ok != (u.RawQuery != "") {
		return DisplayURL(r)
	}
	return known
}

// DisplayURL is the target URI for people: without fragment and userinfo.
func DisplayURL(r *http.Request) string {
	r = target.Plain(r)
	u := url.URL{Scheme: r.URL.Scheme, Opaque: r.URL.Opaque, Host: r.URL.Host,
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	if r.Host != "" {
		u.Host = r.Host
	}
	return u.String()
}
