// Package redact takes secrets out of what people read: URLs, header fields and error texts.
//
// What is hidden shows as [Placeholder], never as nothing: a reader should see that something was there.
// A [Redactor] decides; nil hides all that may be secret. Layers take one in their options, and for want of that the one in a request's context: [With].
package redact

import (
	"net/url"
	"strings"
)

// Placeholder stands where a secret was.
const Placeholder = "REDACTED"

// URL is [Redactor.URL] of the default.
func URL(u *url.URL) string { return (*Redactor)(nil).URL(u) }

// Query is [Redactor.Query] of the default.
func Query(raw string) string { return (*Redactor)(nil).Query(raw) }

// URLText is [Redactor.URLText] of the default.
func URLText(s string) string { return (*Redactor)(nil).URLText(s) }

// Text is [Redactor.Text] of the default.
func Text(s string) string { return (*Redactor)(nil).Text(s) }

// Error is [Redactor.Error] of the default.
func Error(err error) error { return (*Redactor)(nil).Error(err) }

// ErrorText is [Redactor.ErrorText] of the default.
func ErrorText(err error) string { return (*Redactor)(nil).ErrorText(err) }

func userinfo(u *url.Userinfo) string {
	if u == nil {
		return ""
	}
	if _, ok := u.Password(); ok {
		return Placeholder + ":" + Placeholder + "@"
	}
	return Placeholder + "@"
}

// pathParams hides the values of path parameters that name a secret, as ";jsessionid=" does.
func pathParams(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		params := strings.Split(segment, ";")
		for j, param := range params[1:] {
			if key, _, ok := strings.Cut(param, "="); ok && IsSecretName(key) {
				params[j+1] = key + "=" + Placeholder
			}
		}
		segments[i] = strings.Join(params, ";")
	}
	return strings.Join(segments, "/")
}

// word tells the flags of a query ("acl", "x-id", "publicAccessBlock") from a bare token: letters and few punctuation marks, no digits,
// few capitals, not long.
func word(s string) bool {
	if len(s) > 24 {
		return false
	}
	capitals := 0
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			if capitals++; capitals > 3 {
				return false
			}
		}
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '-' && c != '_' && c != '.' {
				return false
			}
		}
	}
	return true
}

// printable keeps a hand-made query from breaking out of the line that it is printed on.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0 {
		return s
	}
	return url.QueryEscape(s)
}
