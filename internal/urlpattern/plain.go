package urlpattern

import (
	"path"
	"strings"
)

// ReachesText is [Pattern.Reaches] for a URL that is written in its plainest form, as nearly all are: an http or https URL in lower case, with a path of
// unreserved characters and no dot segment. It looks at the text and allocates nothing. For all other URLs, and for regular expressions, ok is false.
func (u *Pattern) ReachesText(rawURL string) (reaches, ok bool) {
	if u.expression != nil {
		return false, false
	}
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return false, false
	}
	slash := strings.IndexByte(rest, '/')
	if slash <= 0 || !plainAuthority(rest[:slash]) {
		return false, false
	}
	host, p := rest[:slash], rest[slash:]
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '?':
			if strings.IndexByte(p[i:], '#') >= 0 || !printable(p[i:]) {
				return false, false
			}
			p = p[:i]
		case c == '/' && i+1 < len(p) && p[i+1] == '.', !unreserved[c] && c != '/':
			return false, false
		}
	}
	if u.scheme != "" && u.scheme != scheme || !u.matchHost(scheme, host) {
		return false, true
	}
	return u.anyPath || matchPath(u.path, p[1:]), true
}

// plainAuthority reports whether an authority is a name in lower case, with or without a port.
func plainAuthority(authority string) bool {
	host, port, hasPort := strings.Cut(authority, ":")
	if host == "" || hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	for i := 0; i < len(host); i++ {
		if c := host[i]; !unreserved[c] || 'A' <= c && c <= 'Z' || c == '_' || c == '~' {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// unreserved are the characters that are never percent-encoded (RFC 3986 §2.3).
var unreserved = func() (is [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" {
		is[c] = true
	}
	return is
}()

// matchPath is matchSegments for a path without dot segments, without splitting it.
func matchPath(pattern []string, p string) bool {
	more := true
	for i, segment := range pattern {
		if segment == "**" && i == len(pattern)-1 {
			return true
		}
		if !more {
			return false
		}
		var piece string
		piece, p, more = strings.Cut(p, "/")
		if ok, err := path.Match(segment, piece); err != nil || !ok {
			return false
		}
	}
	return !more
}
