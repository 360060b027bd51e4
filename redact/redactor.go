package redact

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// A Redactor decides what may be shown of a request, a response or an error. Nil and the zero value hide everything that may be secret.
// It is safe for concurrent use. Its fields must not change after the first use.
type Redactor struct {
	// ShowHeaders lists header fields whose values may be shown, in addition to the harmless ones of the standards.
	// A field with the name of a secret stays hidden; see [IsSecretHeader].
	ShowHeaders []string

	// HideHeaders lists header fields whose values are hidden. It overrides everything else.
	HideHeaders []string

	// ShowParams lists query parameters whose values may be shown. Case matters.
	// A parameter with the name of a secret stays hidden; see [IsSecretName].
	ShowParams []string

	// HideParams, if not nil, reverses the rule for query parameters: values are shown, except those of the parameters listed here
	// and of those with the name of a secret. [SignedURLs] is such a list. Case matters.
	HideParams []string

	// Path rewrites the escaped path of each URL, for example to hide identifiers. It may be called again with what it returned, where one error quotes another.
	// Nil hides only session ids.
	Path func(string) string
}

// SignedURLs are the query parameters that sign the URLs of the large object stores, for [Redactor.HideParams].
var SignedURLs = []string{
	"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", // the four that the semantic conventions of OpenTelemetry name
	"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Credential", "GoogleAccessId", "Key-Pair-Id", "Policy",
	"OSSAccessKeyId", "se", "sp", "skoid", "sktid", "st", "sv",
}

// URL returns u as text without its secrets. Userinfo becomes REDACTED:REDACTED@ (REDACTED@ without a password),
// the values of the query become REDACTED while keys and order stay, and the fragment is dropped.
// The query need not be well-formed; a part without "=" is shown only if it is a known flag such as "acl".
// Of an opaque URL only the scheme is shown. A nil URL is "".
func (r *Redactor) URL(u *url.URL) string {
	if u == nil {
		return ""
	}
	var b strings.Builder
	b.Grow(len(u.Scheme) + len("://") + len(userinfo(u.User)) + len(u.Host) + len(u.Path) + len("/?") + queryRoom(u.RawQuery))
	if u.Scheme != "" {
		b.WriteString(u.Scheme)
		b.WriteByte(':')
	}
	if u.Opaque != "" {
		b.WriteString(Placeholder)
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
		if u.RawQuery != "" {
			r.writeQuery(&b, u.RawQuery)
		}
	}
	return b.String()
}

func (r *Redactor) path(escaped string) string {
	if r != nil && r.Path != nil {
		escaped = r.Path(escaped)
	}
	return pathParams(escaped)
}

// URLTemplate returns the template of a URL, such as "/users/{id}", without its secrets. Path gets its path unexpanded; the rest is as in [Redactor.URL].
func (r *Redactor) URLTemplate(template string) string {
	rest, _, _ := strings.Cut(template, "#")
	query := ""
	if i := strings.IndexByte(rest, '?'); i >= 0 && (i == 0 || rest[i-1] != '{') { // "{?page}" is a variable (RFC 6570 §3.2.8)
		rest, query = rest[:i], "?"+r.Query(rest[i+1:])
	}
	origin := ""
	if i := strings.Index(rest, "://"); i >= 0 {
		end := len(rest)
		if j := strings.IndexByte(rest[i+3:], '/'); j >= 0 {
			end = i + 3 + j
		}
		origin, rest = rest[:end], rest[end:]
		if at := strings.LastIndexByte(origin, '@'); at >= 0 {
			origin = origin[:i+3] + Placeholder + origin[at:]
		}
	}
	return origin + r.path(rest) + query
}

// URLText returns the text of a URL, or of a reference as in Location, as [Redactor.URL] does.
// A text that does not parse is hidden entirely, because its secrets cannot be located.
func (r *Redactor) URLText(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return Placeholder
	}
	return r.URL(u)
}

// Header returns a copy of h in which the values that must not be shown are REDACTED.
func (r *Redactor) Header(h http.Header) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			shown[name] = append(shown[name], r.HeaderValue(name, v))
		}
	}
	return shown
}

// HeaderValue returns what may be shown of a value of the header field name: the value without secrets in its text, the redacted URL, or REDACTED.
func (r *Redactor) HeaderValue(name, value string) string {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !r.showsHeader(name) {
		return Placeholder
	}
	if urlHeaders[name] {
		return r.URLText(value)
	}
	return r.Text(value)
}

func (r *Redactor) showsHeader(name string) bool {
	named := func(s string) bool { return strings.EqualFold(s, name) }
	if r != nil && slices.ContainsFunc(r.HideHeaders, named) || IsSecretHeader(name) {
		return false
	}
	return harmless[name] || urlHeaders[name] || r != nil && slices.ContainsFunc(r.ShowHeaders, named)
}

var urlHeaders = map[string]bool{"Location": true, "Content-Location": true, "Referer": true}

var harmless = set(
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Patch", "Accept-Post", "Accept-Ranges", "Age", "Allow", "Alt-Svc",
	"Cache-Control", "Cache-Status", "Cache-Tag", "Cdn-Cache-Control", "Connection", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type",
	"Date", "Edge-Cache-Tag", "Etag", "Expect", "Expires", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Keep-Alive", "Last-Modified", "Max-Forwards", "Pragma", "Prefer", "Range", "Ratelimit", "Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset",
	"Retry-After", "Retry-After-Ms", "Server", "Server-Timing", "Strict-Transport-Security", "Surrogate-Control", "Surrogate-Key", "Te", "Traceparent", "Trailer", "Transfer-Encoding",
	"Upgrade", "User-Agent", "Vary", "Via", "Warning", "X-Cache", "X-Content-Type-Options", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Request-Id",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}
