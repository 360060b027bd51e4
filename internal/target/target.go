// Package target returns the URI that a request is for, in two forms.
//
// [AppendURI] writes the URI as it is sent: scheme and authority compare as in RFC 9110 §4.2.3, path and query byte for byte,
// because an origin may answer "/a/../b" or "/%61" with a redirect to "/b" or "/a". Cache keys are made of it.
// [Normal] returns the request for the same URI in its normal form (RFC 3986 §6.2.2). Two URIs with one normal form are equivalent:
// an invalidation of one reaches the other, which costs a fetch if the origin tells them apart.
//
// Where to look: target.go has the URI as it is sent, normal.go its normal form, host.go names of hosts as they go over the wire, proxied.go what a proxy sees of it.
package target

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// Append appends s behind its length, so that a sequence of strings can be read in one way only.
func Append(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// AppendOrigin appends scheme and authority: equal for equal origins, and for no others.
// The authority is the Host that the request names. A request that names another host than the one it is sent to has both.
func AppendOrigin(dst []byte, r *http.Request) []byte {
	u := r.URL
	switch u.Scheme {
	case "https":
		dst = append(dst, "\x00\x00\x00\x05https"...)
	case "http":
		dst = append(dst, "\x00\x00\x00\x04http"...)
	default:
		dst = appendLower(dst, u.Scheme)
	}
	named, dialed := Authority(r), u.Host
	if !isASCII(named) || !isASCII(dialed) {
		named, dialed = dialedHost(named), dialedHost(dialed) // see OnWire
	}
	dst = appendAuthority(dst, u.Scheme, named)
	if named != dialed && !sameAuthority(u.Scheme, named, dialed) {
		return appendAuthority(dst, u.Scheme, dialed)
	}
	return append(dst, 0)
}

// AppendPath appends the path as net/http sends it, behind its length. An opaque URL that [Plain] could not resolve has its own form.
func AppendPath(dst []byte, u *url.URL) []byte {
	if u.Opaque != "" {
		return Append(append(dst, 1), u.Opaque)
	}
	path := u.Path
	if u.RawPath != "" || !isPlain(path) {
		path = SentPath(u)
	}
	return append(appendLength(append(dst, 0), len(path)), path...)
}

// SentPath is the path as net/http sends it: an empty one as "/".
func SentPath(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// AppendQuery appends the query, behind its length. An empty query is another one than none.
func AppendQuery(dst []byte, u *url.URL) []byte {
	if u.RawQuery == "" && !u.ForceQuery {
		return append(dst, 0)
	}
	return append(appendLength(append(dst, 1), len(u.RawQuery)), u.RawQuery...)
}

// AppendURI appends the whole target URI: without fragment and without userinfo.
func AppendURI(dst []byte, r *http.Request) []byte {
	r = Plain(r)
	dst = AppendOrigin(dst, r)
	dst = AppendPath(dst, r.URL)
	return AppendQuery(dst, r.URL)
}

// Open appends room for a length of four bytes, which Close fills in at start with the length of what was appended since.
func Open(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0)
}

// Close fills in a length; see Open.
func Close(dst []byte, start int) {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
}

// Plain returns r or, if r has an opaque URL, a request that sends the same without one.
// [url.URL.RequestURI] sends an opaque URL as it is: with a path or, after "//", with an authority (RFC 9112 §3.2).
func Plain(r *http.Request) *http.Request {
	if r.URL.Opaque == "" {
		return r
	}
	sent := r.URL.Opaque
	if rest, ok := strings.CutPrefix(sent, "//"); ok {
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !SameAuthority(r.URL.Scheme, rest[:end], Authority(r)) {
			return r
		}
		if sent = rest[end:]; sent == "" || sent[0] == '?' {
			sent = "/" + sent
		}
	}
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		sent += "?" + r.URL.RawQuery
	}
	path, query, hasQuery := strings.Cut(sent, "?")
	decoded, err := url.PathUnescape(path)
	u := &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: decoded, RawPath: path, RawQuery: query, ForceQuery: hasQuery && query == ""}
	if err != nil || path == "" || path[0] != '/' || u.EscapedPath() != path {
		return r
	}
	plain := *r
	plain.URL = u
	return &plain
}

// Authority returns the authority that a request names: its Host, or else that of its URL.
func Authority(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// appendLength appends the length that Close would fill in.
func appendLength(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendAuthority(dst []byte, scheme, host string) []byte {
	for i := 0; i < len(host); i++ {
		if c := host[i]; c == ':' || 'A' <= c && c <= 'Z' {
			return appendLower(dst, withoutDefaultPort(scheme, host))
		}
	}
	return append(appendLength(dst, len(host)), host...) // in its normal form already
}

// SameAuthority reports whether two authorities are the same under a scheme (RFC 9110 §4.2.3).
func SameAuthority(scheme, a, b string) bool {
	return sameAuthority(scheme, dialedHost(a), dialedHost(b))
}

// NormalAuthority returns an authority in its normal form: in ASCII and lower case, without the scheme's default port.
func NormalAuthority(scheme, host string) string {
	return strings.ToLower(withoutDefaultPort(scheme, dialedHost(host)))
}

func sameAuthority(scheme, a, b string) bool {
	return field.EqualFold(withoutDefaultPort(scheme, a), withoutDefaultPort(scheme, b))
}

func withoutDefaultPort(scheme, host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return host
	}
	switch port := host[i+1:]; {
	case port == "", port == "80" && field.EqualFold(scheme, "http"), port == "443" && field.EqualFold(scheme, "https"):
		return host[:i]
	}
	return host
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// appendLower appends the length of s, and s in lower case.
func appendLower(dst []byte, s string) []byte {
	dst = append(appendLength(dst, len(s)), s...)
	written := dst[len(dst)-len(s):]
	for i, c := range written {
		written[i] = lower(c)
	}
	return dst
}

// plain marks the bytes of a path that no escaping or unescaping changes.
var plain = func() (set [256]bool) {
	for c := range set {
		set[c] = c == '/' || unreserved(byte(c))
	}
	return set
}()

// isPlain reports whether an unescaped path is sent as it is: it is not empty and needs no escaping.
func isPlain(path string) bool {
	for i := 0; i < len(path); i++ {
		if !plain[path[i]] {
			return false
		}
	}
	return path != ""
}

func unreserved(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
