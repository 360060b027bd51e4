package redact

import (
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// Redactor decides what may be shown of a request, a response or an error. Nil and the zero value hide all that may be secret.
// It is safe for concurrent use; its fields must not change once it is in use.
type Redactor struct {
	// ShowHeaders names header fields whose values may be shown, beside the harmless ones of the standards.
	// A name that says "secret" by itself stays hidden: see [SecretHeader].
	ShowHeaders []string

	// HideHeaders names header fields whose values are hidden. It wins over all else.
	HideHeaders []string

	// ShowParams names query parameters whose values may be shown. Case matters.
	// A name that says "secret" by itself stays hidden: see [SecretName].
	ShowParams []string

	// HideParams, if not nil, turns the rule for query parameters around: values are shown, except for those named here,
	// and those whose names say "secret" by themselves. [SignedURLs] is such a list. Case matters.
	HideParams []string

	// Path rewrites the escaped path of each URL, as to hide identifiers in it. It sees what it has returned again where one error quotes another.
	// Zero means that only session ids are hidden.
	Path func(string) string
}

// SignedURLs are the query parameters that sign the URLs of the large object stores, for [Redactor.HideParams].
var SignedURLs = []string{
	"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", // the four that the semantic conventions of OpenTelemetry name
	"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Credential", "GoogleAccessId", "Key-Pair-Id", "Policy",
	"OSSAccessKeyId", "se", "sp", "skoid", "sktid", "st", "sv",
}

// URL returns u as text without its secrets: userinfo becomes REDACTED:REDACTED@ (REDACTED@ without a password),
// the values of the query become REDACTED with keys and order kept, and the fragment is dropped.
// A query need not be well-formed; a part without "=" stays only if it looks like a word, as "acl" does.
// An opaque URL keeps its scheme alone. A nil URL is "".
func (r *Redactor) URL(u *url.URL) string {
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
	b.WriteString(r.path(path))
	if u.RawQuery != "" || u.ForceQuery {
		b.WriteByte('?')
		b.WriteString(r.Query(u.RawQuery))
	}
	return b.String()
}

func (r *Redactor) path(escaped string) string {
	if r != nil && r.Path != nil {
		escaped = r.Path(escaped)
	}
	return pathParams(escaped)
}

// Query returns a raw query with its values hidden, as [Redactor.URL] does.
func (r *Redactor) Query(raw string) string {
	if raw == "" {
		return ""
	}
	var b strings.Builder
	for i, part := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok && r.showsParam(key):
			b.WriteString(printable(key) + "=" + printable(value))
		case ok:
			b.WriteString(printable(key) + "=" + Mark)
		case word(part):
			b.WriteString(part)
		default:
			b.WriteString(Mark)
		}
	}
	return b.String()
}

// showsParam looks at the decoded name too: "%74oken" is "token".
func (r *Redactor) showsParam(key string) bool {
	if r == nil || r.ShowParams == nil && r.HideParams == nil {
		return false
	}
	name, err := url.QueryUnescape(key)
	if err != nil || SecretName(name) || slices.Contains(r.HideParams, name) {
		return false
	}
	return r.HideParams != nil || slices.Contains(r.ShowParams, name)
}

// URLText does for the text of a URL, or of a reference as in Location, what [Redactor.URL] does.
// A text that does not parse is hidden whole: nobody can say where its secrets are.
func (r *Redactor) URLText(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return Mark
	}
	return r.URL(u)
}

// Header returns a copy of h with the values that may not be shown replaced by REDACTED.
func (r *Redactor) Header(h http.Header) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			shown[name] = append(shown[name], r.HeaderValue(name, v))
		}
	}
	return shown
}

// HeaderValue returns what may be shown of a value of the header field name: the value, REDACTED, or the redacted URL that it is.
func (r *Redactor) HeaderValue(name, value string) string {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !r.showsHeader(name) {
		return Mark
	}
	if urlHeaders[name] {
		return r.URLText(value)
	}
	return r.Text(value)
}

func (r *Redactor) showsHeader(name string) bool {
	named := func(s string) bool { return strings.EqualFold(s, name) }
	if r != nil && slices.ContainsFunc(r.HideHeaders, named) || SecretHeader(name) {
		return false
	}
	return harmless[name] || urlHeaders[name] || r != nil && slices.ContainsFunc(r.ShowHeaders, named)
}

var urlHeaders = map[string]bool{"Location": true, "Content-Location": true, "Referer": true}

var harmless = set(
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Patch", "Accept-Post", "Accept-Ranges", "Age", "Allow", "Alt-Svc",
	"Cache-Control", "Cache-Status", "Cdn-Cache-Control", "Connection", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type",
	"Date", "Etag", "Expect", "Expires", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Keep-Alive", "Last-Modified", "Max-Forwards", "Pragma", "Prefer", "Range", "Ratelimit", "Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset",
	"Retry-After", "Retry-After-Ms", "Server", "Server-Timing", "Strict-Transport-Security", "Te", "Traceparent", "Trailer", "Transfer-Encoding",
	"Upgrade", "User-Agent", "Vary", "Via", "Warning", "X-Cache", "X-Content-Type-Options", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Request-Id",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// Text returns s with the secrets of the URLs in it hidden.
// It looks at each run without spaces, quotes or brackets that holds "://" or a query, and hides what does not parse.
func (r *Redactor) Text(s string) string {
	if !strings.Contains(s, "://") && !strings.Contains(s, "?") {
		return s
	}
	var b strings.Builder
	for s != "" {
		end := runEnd(s)
		b.WriteString(r.run(s[:end]))
		if end < len(s) {
			b.WriteByte(s[end])
			end++
		}
		s = s[end:]
	}
	return b.String()
}

const separators = " \t\r\n\"'`<>()[]{}"

// runEnd returns the length of the run that s begins with. Brackets that open in a query are of the query, as are quotes in them:
// JSON goes over the wire as it is.
func runEnd(s string) int {
	end := strings.IndexAny(s, separators)
	if end < 0 {
		return len(s)
	}
	if !strings.Contains(s[:end], "?") {
		return end
	}
	for depth := 0; end < len(s); end++ {
		switch s[end] {
		case ' ', '\t', '\r', '\n':
			return end
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return end
			}
		case '"', '\'', '`', '<', '>':
			if depth == 0 {
				return end
			}
		}
	}
	return end
}

func (r *Redactor) run(s string) string {
	body := strings.TrimRight(s, ":,.;!")
	if !strings.Contains(body, "://") && !(strings.Contains(body, "?") && strings.Contains(body, "=")) {
		return s
	}
	return r.URLText(body) + s[len(body):]
}

// Error returns an error that reads as err does without the secrets of the URLs in its text,
// and that errors.Is and errors.As see through. An err without such a secret comes back as it is; nil stays nil.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	clean := r.ErrorText(err)
	if clean == err.Error() {
		return err
	}
	return &redacted{text: clean, err: err}
}

// ErrorText is the text of [Redactor.Error], and "" for nil.
func (r *Redactor) ErrorText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) {
		text = strings.ReplaceAll(text, ue.Error(), r.urlError(ue))
	}
	return r.Text(text)
}

// urlError is the text of ue with its URL redacted.
func (r *Redactor) urlError(ue *url.Error) string {
	inner := r.ErrorText(ue.Err)
	if ue.Op == "parse" {
		inner = unquote(inner)
	}
	return ue.Op + ` "` + r.URLText(ue.URL) + `": ` + inner
}

// ParseReason says what url.Parse found wrong, without the text that it could not parse.
func ParseReason(err error) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return unquote(ErrorText(err))
}

// unquote hides the pieces that url.Parse quotes of a text that it could not parse: any of them may be part of a password.
func unquote(s string) string {
	first, last := strings.IndexByte(s, '"'), strings.LastIndexByte(s, '"')
	if first < 0 || first == last {
		return s
	}
	return s[:first] + Mark + s[last+1:]
}
