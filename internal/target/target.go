// Package target writes the target URI of a request in its normal form (RFC 9110 §4.2.3, RFC 3986 §6.2).
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
	host := r.Host
	if host == "" {
		host = u.Host
	}
	dst = appendAuthority(dst, u.Scheme, host)
	if host != u.Host && !SameAuthority(u.Scheme, host, u.Host) {
		return appendAuthority(dst, u.Scheme, u.Host)
	}
	return append(dst, 0)
}

// AppendPath appends the path, and AppendQuery the query, each behind its length.
func AppendPath(dst []byte, u *url.URL) []byte {
	if u.Opaque != "" {
		return Append(append(dst, 1), u.Opaque)
	}
	dst = append(dst, 0)
	if u.RawPath == "" && isPlain(u.Path) {
		return append(appendLength(dst, len(u.Path)), u.Path...) // in its normal form already
	}
	start := len(dst)
	dst = appendPath(Open(dst), u.EscapedPath())
	Close(dst, start)
	return dst
}

// AppendQuery appends the query. An empty query is another one than none.
func AppendQuery(dst []byte, u *url.URL) []byte {
	if u.RawQuery == "" && !u.ForceQuery {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	if strings.IndexByte(u.RawQuery, '%') < 0 {
		return append(appendLength(dst, len(u.RawQuery)), u.RawQuery...)
	}
	start := len(dst)
	dst = appendPercent(Open(dst), u.RawQuery)
	Close(dst, start)
	return dst
}

// AppendURI appends the whole target URI: without fragment and without userinfo.
func AppendURI(dst []byte, r *http.Request) []byte {
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

// NormalPath returns the path in its normal form.
func NormalPath(u *url.URL) string {
	return string(appendPath(nil, u.EscapedPath()))
}

// NormalQuery returns the query in its normal form.
func NormalQuery(u *url.URL) string {
	return string(appendPercent(nil, u.RawQuery))
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

// SameAuthority tells whether two authorities are one under a scheme (RFC 9110 §4.2.3).
func SameAuthority(scheme, a, b string) bool {
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

// appendLower appends s in lower case, behind its length.
func appendLower(dst []byte, s string) []byte {
	dst = append(appendLength(dst, len(s)), s...)
	written := dst[len(dst)-len(s):]
	for i, c := range written {
		written[i] = lower(c)
	}
	return dst
}

// plain are the bytes that stand for themselves in a path, whatever normalisation is done to it.
var plain = func() (set [256]bool) {
	for c := range set {
		set[c] = c == '/' || unreserved(byte(c))
	}
	return set
}()

// isPlain tells whether a path, not escaped, is its own normal form: it has nothing to escape and no segment that begins with a dot.
func isPlain(path string) bool {
	if path == "" || path[0] == '.' {
		return false
	}
	for i := 0; i < len(path); i++ {
		if !plain[path[i]] || path[i] == '.' && path[i-1] == '/' {
			return false
		}
	}
	return true
}

// appendPath normalises percent-encoding, then removes dot segments (RFC 3986 §6.2.2). An empty path is "/".
// Empty segments stay: "//" is not "/".
func appendPath(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	start := len(dst)
	dst = appendPercent(dst, path)
	if !strings.Contains(path, "/.") && !strings.Contains(path, "%2") {
		return dst
	}
	return dst[:start+removeDotSegments(dst[start:])]
}

// removeDotSegments shortens p in place as RFC 3986 §5.2.4 says and returns the new length.
func removeDotSegments(p []byte) int {
	out := 0
	for in := 0; in < len(p); {
		end := in + 1
		for end < len(p) && p[end] != '/' {
			end++
		}
		switch segment := p[in:end]; string(segment) {
		case "/.", "/..":
			if len(segment) == 3 {
				out = lastSlash(p[:out])
			}
			if end == len(p) {
				p[out] = '/'
				out++
			}
		default:
			out += copy(p[out:], segment)
		}
		in = end
	}
	return out
}

// lastSlash returns where the last segment of p begins.
func lastSlash(p []byte) int {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return i
		}
	}
	return 0
}

// appendPercent writes encoded unreserved characters as themselves and the other encodings in upper case (RFC 3986 §6.2.2).
func appendPercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			dst = append(dst, s[i])
			continue
		}
		high, low := unhex(s[i+1]), unhex(s[i+2])
		if high < 0 || low < 0 {
			dst = append(dst, s[i])
			continue
		}
		if c := byte(high<<4 | low); unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[high], upperHex[low])
		}
		i += 2
	}
	return dst
}

const upperHex = "0123456789ABCDEF"

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= lower(c) && lower(c) <= 'f':
		return int(lower(c)-'a') + 10
	}
	return -1
}

func unreserved(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
