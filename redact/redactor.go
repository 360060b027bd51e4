package redact

import (
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
	// A name that says "secret" by itself stays hidden: see [IsSecretHeader].
	ShowHeaders []string

	// HideHeaders names header fields whose values are hidden. It wins over all else.
	HideHeaders []string

	// ShowParams names query parameters whose values may be shown. Case matters.
	// A name that says "secret" by itself stays hidden: see [IsSecretName].
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

// URLTemplate returns the template of a URL, such as "/users/{id}", without its secrets: Path sees its path as it stands, and the rest is as in [Redactor.URL].
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

// URLText does for the text of a URL, or of a reference as in Location, what [Redactor.URL] does.
// A text that does not parse is hidden whole: nobody can say where its secrets are.
func (r *Redactor) URLText(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return Placeholder
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
