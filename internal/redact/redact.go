// Package redact takes secrets out of what people read: URLs, header fields and error texts.
//
// What is hidden shows as [Mark], never as nothing: a reader should see that something was there.
package redact

import (
	"errors"
	"net/url"
	"strings"
)

// Mark stands where a secret was.
const Mark = "REDACTED"

// URL returns u as text without its secrets: userinfo becomes REDACTED:REDACTED@ (REDACTED@ without a password),
// the values of the query become REDACTED with keys and order kept, and the fragment is dropped.
// A query need not be well-formed; a part without "=" stays only if it looks like a word, as "acl" does.
// An opaque URL keeps its scheme alone. A nil URL is "".
func URL(u *url.URL) string {
	if u == nil {
		return ""
	}
	var b strings.Builder
	if u.Scheme != "" {
		b.WriteString(u.Scheme)
		b.WriteByte(':')
	}
	if u.Opaque != "" {
		b.WriteString(Mark)
		return b.String()
	}
	if u.Host != "" || u.User != nil {
		b.WriteString("//")
		b.WriteString(userinfo(u.User))
		b.WriteString(u.Host)
	}
	path := u.EscapedPath()
	if path != "" && path[0] != '/' && u.Host != "" {
		b.WriteByte('/')
	}
	b.WriteString(pathParams(path))
	if u.RawQuery != "" || u.ForceQuery {
		b.WriteByte('?')
		b.WriteString(Query(u.RawQuery))
	}
	return b.String()
}

// Query returns a raw query with its values hidden, as [URL] does.
func Query(raw string) string {
	if raw == "" {
		return ""
	}
	var b strings.Builder
	for i, part := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		key, _, ok := strings.Cut(part, "=")
		switch {
		case ok:
			b.WriteString(printable(key))
			b.WriteString("=" + Mark)
		case word(part):
			b.WriteString(part)
		default:
			b.WriteString(Mark)
		}
	}
	return b.String()
}

// URLText does for the text of a URL, or of a reference as in Location, what [URL] does.
// A text that does not parse is hidden whole: nobody can say where its secrets are.
func URLText(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return Mark
	}
	return URL(u)
}

// SecretHeader reports whether the values of the header field name are never to be shown.
// Case does not matter.
func SecretHeader(name string) bool {
	name = strings.ToLower(name)
	for _, secret := range secretFields {
		if name == secret {
			return true
		}
	}
	return SecretName(name)
}

var secretFields = []string{
	"authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info",
	"www-authenticate", "proxy-authenticate",
	"cookie", "cookie2", "set-cookie", "set-cookie2",
	"x-amz-security-token", "x-forwarded-authorization", "x-original-authorization",
	"dpop", "ocp-apim-subscription-key", "x-api-key", "x-functions-key", "x-goog-iam-authorization-token",
}

// SecretName reports whether a name given to a value (a header field, a parameter, a member of an object)
// says that the value is secret: it contains token, secret, password, session, an API key or the like.
// Case, dashes and underscores do not matter.
func SecretName(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, part := range secretParts {
		if strings.Contains(plain, part) {
			return true
		}
	}
	return false
}

var secretParts = []string{
	"token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey", "privatekey", "authkey", "subscriptionkey",
	"session", "credential", "signature", "authorization", "cookie", "jwt", "csrf", "xsrf",
}

// Text returns s with the secrets of the URLs in it hidden.
// It looks at each run without spaces, quotes or brackets that holds "://" or a query, and hides what does not parse.
func Text(s string) string {
	if !strings.Contains(s, "://") && !strings.Contains(s, "?") {
		return s
	}
	var b strings.Builder
	for s != "" {
		end := strings.IndexAny(s, separators)
		if end < 0 {
			end = len(s)
		}
		b.WriteString(run(s[:end]))
		if end < len(s) {
			b.WriteByte(s[end])
			end++
		}
		s = s[end:]
	}
	return b.String()
}

const separators = " \t\r\n\"'`<>()[]{}"

func run(s string) string {
	body := strings.TrimRight(s, ":,.;!")
	if !strings.Contains(body, "://") && !(strings.Contains(body, "?") && strings.Contains(body, "=")) {
		return s
	}
	return URLText(body) + s[len(body):]
}

// Error returns an error that reads as err does without the secrets of the URLs in its text,
// and that errors.Is and errors.As see through. An err without such a secret comes back as it is; nil stays nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := ErrorText(err)
	if clean == text {
		return err
	}
	return &redacted{text: clean, err: err}
}

// ErrorText is the text of [Error], and "" for nil.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) {
		text = strings.ReplaceAll(text, ue.Error(), urlError(ue))
	}
	return Text(text)
}

// urlError is the text of ue with its URL redacted.
// What url.Parse says quotes pieces of the text that it could not parse, and any of them may be part of a password.
func urlError(ue *url.Error) string {
	inner := ErrorText(ue.Err)
	if ue.Op == "parse" {
		inner = unquote(inner)
	}
	return ue.Op + ` "` + URLText(ue.URL) + `": ` + inner
}

func unquote(s string) string {
	first, last := strings.IndexByte(s, '"'), strings.LastIndexByte(s, '"')
	if first < 0 || first == last {
		return s
	}
	return s[:first] + Mark + s[last+1:]
}

type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// Timeout keeps what net/http and its callers ask of an error by assertion.
func (e *redacted) Timeout() bool {
	t, ok := e.err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func userinfo(u *url.Userinfo) string {
	if u == nil {
		return ""
	}
	if _, ok := u.Password(); ok {
		return Mark + ":" + Mark + "@"
	}
	return Mark + "@"
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
			if key, _, ok := strings.Cut(param, "="); ok && SecretName(key) {
				params[j+1] = key + "=" + Mark
			}
		}
		segments[i] = strings.Join(params, ";")
	}
	return strings.Join(segments, "/")
}

// word tells the flags of a query ("acl", "x-id") from a bare token: letters and few punctuation marks, no digits, not long.
func word(s string) bool {
	if len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
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
