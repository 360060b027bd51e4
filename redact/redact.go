// Package redact hides secrets in what people read: URLs, header fields and error texts.
//
// A hidden value shows as [Placeholder], so that a reader sees that there was one.
// A [Redactor] decides what is hidden; nil hides everything that may be secret. Layers use the redactor of their options, or else that of the request's context; see [With].
// The functions of the package are the methods of the nil redactor, as the functions of package log are the methods of its default logger.
//
// Where to look: redactor.go has Redactor, URLs and header fields; names.go decides which names are those of secrets; query.go handles queries, error.go errors;
// text.go finds secrets in any text, with announced.go (values after a name or a scheme) and markup.go (XML and PEM); context.go carries a redactor.
// redact.go has the functions of the package, and what URLs and texts share.
package redact

import (
	"net/url"
	"strings"
)

// Placeholder replaces each secret.
const Placeholder = "REDACTED"

// URL is [Redactor.URL] of the nil redactor.
func URL(u *url.URL) string { return (*Redactor)(nil).URL(u) }

// Query is [Redactor.Query] of the nil redactor.
func Query(raw string) string { return (*Redactor)(nil).Query(raw) }

// URLText is [Redactor.URLText] of the nil redactor.
func URLText(s string) string { return (*Redactor)(nil).URLText(s) }

// Text is [Redactor.Text] of the nil redactor.
func Text(s string) string { return (*Redactor)(nil).Text(s) }

// Error is [Redactor.Error] of the nil redactor.
func Error(err error) error { return (*Redactor)(nil).Error(err) }

// ErrorText is [Redactor.ErrorText] of the nil redactor.
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

// pathParams hides the values of path parameters with the name of a secret, such as ";jsessionid=".
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

// word reports whether s looks like a flag of a query ("acl", "x-id", "publicAccessBlock") and not like a bare token:
// it is short, and has letters, few capitals and little punctuation.
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

// printable escapes s if it has spaces or control characters, which could break the line that it is printed on.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0 {
		return s
	}
	return url.QueryEscape(s)
}
