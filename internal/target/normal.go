package target

import (
	"net/http"
	"net/url"
	"strings"
)

// Normal returns a request for the target URI of r in its normal form: the host in ASCII and lower case, no default port, no dot segments,
// unreserved characters as themselves, other percent-encodings in upper case. It returns r if nothing changes. Only the URI of the result may be used.
func Normal(r *http.Request) *http.Request {
	r = Plain(r)
	u := r.URL
	path := ""
	if u.Opaque == "" {
		path = NormalPath(u)
	}
	query := NormalQuery(u)
	host, named := NormalAuthority(u.Scheme, u.Host), NormalAuthority(u.Scheme, Authority(r))
	if path == u.EscapedPath() && query == u.RawQuery && host == u.Host && named == Authority(r) {
		return r
	}
	normal := *r
	normal.Host = named
	normal.URL = &url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: host, RawQuery: query, ForceQuery: u.ForceQuery}
	if normal.URL.Path = path; strings.Contains(path, "%") {
		if decoded, err := url.PathUnescape(path); err == nil {
			normal.URL.Path, normal.URL.RawPath = decoded, path
		}
	}
	return &normal
}

// NormalPath returns the path in its normal form.
func NormalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path != "" && strings.IndexByte(path, '%') < 0 && !strings.Contains(path, "/.") {
		return path // the usual case
	}
	return string(appendPath(nil, path))
}

// NormalQuery returns the query in its normal form, escaped as ply sends it.
func NormalQuery(u *url.URL) string {
	query := EscapedQuery(u.RawQuery)
	if strings.IndexByte(query, '%') < 0 {
		return query
	}
	return DecodedUnreserved(query)
}

// EscapedQuery escapes the characters of query that must not appear in a request line: the query percent-encode set of the URL Standard,
// as browsers do (RFC 3986 §2.1). Escapes stay as they are, and so does a percent sign that escapes nothing.
func EscapedQuery(query string) string {
	plain := 0
	for plain < len(query) && !queryEscapes(query[plain]) {
		plain++
	}
	if plain == len(query) {
		return query
	}
	var b strings.Builder
	b.WriteString(query[:plain])
	for i := plain; i < len(query); i++ {
		if c := query[i]; queryEscapes(c) {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func queryEscapes(c byte) bool {
	return c <= ' ' || c >= 0x7f || c == '"' || c == '#' || c == '<' || c == '>'
}

// DecodedUnreserved normalises the percent-encoding of s and nothing else (RFC 3986 §6.2.2.1, §6.2.2.2).
func DecodedUnreserved(s string) string { return string(appendPercent(nil, s)) }

// appendPath normalises percent-encoding, then removes dot segments (RFC 3986 §6.2.2). An empty path is "/".
// It keeps empty segments: "//" is not "/".
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

// removeDotSegments shortens p in place (RFC 3986 §5.2.4) and returns the new length.
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
