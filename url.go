package ply

import (
	"net/url"
	"regexp"
	"strings"
)

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
