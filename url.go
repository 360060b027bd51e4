package ply

import (
	"net/url"
	"regexp"
	"strings"
)

// escapedQuery returns query with what may not stand in a request line escaped: the query percent-encode set of the URL Standard,
// as browsers have it (RFC 3986 §2.1). What is escaped stays as it is, and so does a percent sign that escapes nothing.
func escapedQuery(query string) string {
	plain := 0
	for plain < len(query) && !queryEscapes(query[plain]) {
		plain++
	}
	if plain == len(query) {
		return query
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(query[:plain])
	for i := plain; i < len(query); i++ {
		if c := query[i]; queryEscapes(c) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func queryEscapes(c byte) bool {
	return c <= ' ' || c >= 0x7f || c == '"' || c == '#' || c == '<' || c == '>'
}

// parseTarget parses a URL whose placeholders have been filled, with the structure that template had before:
// a colon that a value brought into the first segment makes no scheme (RFC 3986 §4.2).
func parseTarget(template, target string) (*url.URL, error) {
	if template == target || strings.HasPrefix(template, "/") || literalScheme.MatchString(template) {
		return url.Parse(target)
	}
	u, err := url.Parse("./" + target)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath = strings.TrimPrefix(u.Path, "./"), strings.TrimPrefix(u.RawPath, "./")
	return u, nil
}

var literalScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// placeholder is what [PathValue] fills, in a path.
var placeholder = regexp.MustCompile(`\{[A-Za-z0-9_.-]+\}`)
