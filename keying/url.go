package keying

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/target"
)

// URLOptions select what of a URL counts in a key. With zero URLOptions all of it does, as in [Default].
type URLOptions struct {
	// Ignore lists query parameters that make no difference, such as "utm_source". Nil ignores none.
	// A query with a semicolon counts whole, whatever Ignore, Only and Sort say: to some servers it separates parameters, and "utm_source=x;id=7" has an id.
	Ignore []string

	// Only lists the query parameters that make a difference; all others are ignored. Nil means that Ignore decides.
	Only []string

	// Sort ignores the order of parameters with different names. The order of values of one name always counts.
	Sort bool

	// Paths are templates for paths of which a part makes no difference, such as "/static/*/app.js" for a build number.
	// A segment "*" stands for any one segment, and a last segment "**" for all that follows. What they stand for is not in the key.
	// The first matching template counts. No template matches a path with a segment "." or "..", which a server may resolve to another path.
	// Nil means that the whole path counts.
	Paths []string

	// Hosts maps authorities, such as "mirror.example:8080", to the authority that replaces them in the key. Nil maps none.
	// The hosts must serve the same content: the response of one is served for the other.
	Hosts map[string]string
}

// URL returns the part for the target URI as it is sent, without fragment and userinfo. o selects what of it counts.
func URL(o URLOptions) Part {
	p := &urlPart{sort: o.Sort, ignore: slices.Clone(o.Ignore), only: slices.Clone(o.Only), hosts: make(map[string]string, len(o.Hosts))}
	for from, to := range o.Hosts {
		p.hosts[target.NormalAuthority("", from)] = to
	}
	for _, path := range o.Paths {
		p.paths = append(p.paths, strings.Split(path, "/"))
	}
	return p
}

type urlPart struct {
	sort         bool
	ignore, only []string
	paths        [][]string
	hosts        map[string]string
}

func (p *urlPart) AppendPart(dst []byte, r *http.Request) ([]byte, error) {
	r = target.Plain(r)
	dst = target.AppendOrigin(dst, p.aliased(r))
	dst = p.appendPath(dst, r.URL)
	if p.wholeQuery(r.URL) {
		return target.AppendQuery(dst, r.URL), nil
	}
	return p.appendParams(dst, r.URL), nil
}

// allParams reports whether the query counts as it is.
func (p *urlPart) allParams() bool { return len(p.ignore) == 0 && p.only == nil && !p.sort }

// wholeQuery reports whether the query of u counts as it is. Servers differ in whether a semicolon separates parameters.
func (p *urlPart) wholeQuery(u *url.URL) bool {
	return p.allParams() || strings.Contains(u.RawQuery, ";")
}

// appendResource appends the target URI without what does not count.
func (p *urlPart) appendResource(dst []byte, r *http.Request) []byte {
	r = target.Plain(r)
	dst = target.AppendOrigin(dst, p.aliased(r))
	dst = p.appendPath(dst, r.URL)
	if p.wholeQuery(r.URL) {
		return target.AppendQuery(dst, r.URL)
	}
	return target.AppendQuery(dst, &url.URL{RawQuery: strings.Join(p.params(nil, r.URL), "&")})
}

// aliased returns r, or a request with the host that replaces that of r.
func (p *urlPart) aliased(r *http.Request) *http.Request {
	if len(p.hosts) == 0 {
		return r
	}
	host := target.NormalAuthority("", target.Authority(r))
	alias, ok := p.hosts[host]
	if !ok {
		host = target.NormalAuthority(r.URL.Scheme, host)
		alias, ok = p.hosts[host]
	}
	if port := defaultPorts[strings.ToLower(r.URL.Scheme)]; !ok && port != "" {
		alias, ok = p.hosts[host+port] // with the default port of the scheme
	}
	if !ok {
		return r
	}
	u := *r.URL
	u.Host = alias
	return &http.Request{URL: &u}
}

var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

func (p *urlPart) appendPath(dst []byte, u *url.URL) []byte {
	if len(p.paths) == 0 || u.Opaque != "" {
		return target.AppendPath(dst, u)
	}
	segments := strings.Split(target.SentPath(u), "/")
	if slices.ContainsFunc(segments, isDots) {
		return target.AppendPath(dst, u)
	}
	for _, template := range p.paths {
		if !matches(template, segments) {
			continue
		}
		dst = append(dst, 2) // no literal path begins with this byte
		for _, segment := range template {
			dst = target.Append(dst, segment)
		}
		return dst
	}
	return target.AppendPath(dst, u)
}

// isDots reports whether a segment is "." or "..", in any encoding.
func isDots(segment string) bool {
	decoded := target.DecodedUnreserved(segment)
	return decoded == "." || decoded == ".."
}

// matches reports whether a template matches a path.
func matches(template, segments []string) bool {
	for i, segment := range template {
		if segment == "**" && i == len(template)-1 {
			return len(segments) >= i
		}
		if i >= len(segments) || segment != "*" && segment != segments[i] {
			return false
		}
	}
	return len(template) == len(segments)
}

// params appends the parameters that count to kept: sorted, or in the order of the query.
func (p *urlPart) params(kept []string, u *url.URL) []string {
	for param := range strings.SplitSeq(u.RawQuery, "&") {
		if param != "" && p.counts(paramName(param)) {
			kept = append(kept, param)
		}
	}
	if p.sort {
		slices.SortStableFunc(kept, func(a, b string) int { return strings.Compare(paramName(a), paramName(b)) })
	}
	return kept
}

// appendParams appends the parameters that count, each after its length.
func (p *urlPart) appendParams(dst []byte, u *url.URL) []byte {
	dst = append(dst, 2)
	var room [16]string
	for _, param := range p.params(room[:0], u) {
		dst = target.Append(append(dst, 1), param)
	}
	return append(dst, 0)
}

func (p *urlPart) counts(name string) bool {
	if p.only != nil {
		return slices.Contains(p.only, name)
	}
	return !slices.Contains(p.ignore, name)
}

// paramName is the decoded name of one parameter.
func paramName(param string) string {
	name, _, _ := strings.Cut(param, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		return decoded
	}
	return name
}

// Method returns the part for the request method. A cache separates GET, HEAD and QUERY without it.
// It is for caches that store responses to further methods.
func Method() Part {
	return PartFunc(func(dst []byte, r *http.Request) ([]byte, error) {
		if r.Method == "" {
			return append(dst, http.MethodGet...), nil
		}
		return append(dst, r.Method...), nil
	})
}

// Prefix returns a part with a fixed text, such as a version: a new version makes all that older ones stored unreachable.
func Prefix(text string) Part {
	return PartFunc(func(dst []byte, _ *http.Request) ([]byte, error) { return append(dst, text...), nil })
}
