// Package urlpattern matches the URLs of requests against patterns that a look-alike host cannot fool.
package urlpattern

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// A Pattern matches URLs. It is written "host" or "host/path", optionally behind "scheme://".
//
// In a host, a leading "*." stands for one or more subdomains, and "*" alone for any host. A port must be given unless it is the scheme's default.
// Hosts compare in ASCII and without regard to case.
// In a path, "*" stands for one segment or a piece of one, and "**" as the last segment for all that follows. A pattern without a path matches every path.
// Paths compare as they are sent: dot segments stay, and no "*" stands for one. Percent-encoded letters, digits, "-", ".", "_" and "~" equal plain ones.
// The query is ignored.
//
// "~" followed by a regular expression matches the whole URL without fragment and userinfo, with its host in ASCII and lower case.
type Pattern struct {
	expression *regexp.Regexp
	scheme     string // or "" for any
	host       string // in lower case; "*" for any
	subdomains bool   // any subdomain of host
	path       []string
	anyPath    bool
}

// Compile reads a pattern. Its error says what is wrong with the pattern.
func Compile(pattern string) (*Pattern, error) {
	u := &Pattern{}
	if expression, ok := strings.CutPrefix(pattern, "~"); ok {
		var err error
		u.expression, err = regexp.Compile(expression)
		return u, err
	}
	rest := pattern
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		if u.scheme = strings.ToLower(scheme); u.scheme != "http" && u.scheme != "https" {
			return u, errors.New("the scheme must be http or https")
		}
		rest = after
	}
	host, p, hasPath := strings.Cut(rest, "/")
	if err := u.setHost(host); err != nil {
		return u, err
	}
	u.anyPath = !hasPath
	var err error
	if u.path, err = segments(p); err != nil {
		return u, err
	}
	for i, segment := range u.path {
		if segment == "**" && i < len(u.path)-1 {
			return u, errors.New(`"**" must be the last segment`)
		}
		if _, err := path.Match(segment, ""); err != nil {
			return u, err
		}
	}
	return u, nil
}

// segments splits the path of a pattern, in the normal form in which the paths of requests are compared.
func segments(p string) ([]string, error) {
	if strings.ContainsAny(p, "?#") {
		return nil, errors.New("the pattern has a query or fragment: leave it out")
	}
	parsed, err := url.Parse("http://host/" + p)
	if err != nil {
		return nil, errors.New("the path is invalid in a URL")
	}
	if parsed.RawPath != "" {
		parsed.RawPath = escaped(parsed.RawPath)
	}
	return segmentsOf(parsed), nil
}

// escaped percent-encodes what net/http would percent-encode, such as letters outside ASCII.
func escaped(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if c := p[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (u *Pattern) setHost(host string) error {
	if after, ok := strings.CutPrefix(host, "*."); ok {
		host, u.subdomains = after, true
	}
	u.host = target.NormalAuthority("", host)
	switch {
	case host == "" || u.subdomains && host == "*":
		return errors.New("the host is missing")
	case host != "*" && strings.Contains(host, "*"):
		return errors.New(`in a host, "*" stands alone or at the beginning, before a dot`)
	case hasStrayBracket(host):
		return errors.New("brackets in a host stand around an IPv6 address only")
	case hasBadPort(host):
		return errors.New("the port must be a number")
	case strings.ContainsAny(host, "@?#"):
		return errors.New("the host must have no userinfo, query or fragment")
	}
	return nil
}

// hasStrayBracket reports whether there are brackets other than those around an address (RFC 3986 §3.2.2).
func hasStrayBracket(host string) bool {
	if address, ok := strings.CutPrefix(host, "["); ok {
		address, port, closed := strings.Cut(address, "]")
		return !closed || strings.ContainsAny(address, "[") || port != "" && port[0] != ':' || strings.ContainsAny(port, "[]")
	}
	return strings.ContainsAny(host, "[]")
}

// hasBadPort reports whether the port is not a number. The colons of an IPv6 address stand before a bracket.
func hasBadPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i > strings.LastIndexByte(host, ']') && strings.Trim(host[i+1:], "0123456789") != ""
}

// Match reports whether the URL of r matches.
func (u *Pattern) Match(r *http.Request) bool { return u.match(r, false) }

// Reaches reports whether the URL of r matches with or without its dot segments, which an origin may resolve or not (RFC 3986 §6.2.2.3).
// Purging a cache by a pattern removes both.
func (u *Pattern) Reaches(r *http.Request) bool {
	return u.match(r, true) || r != nil && r.URL != nil && u.match(target.Normal(r), false)
}

// match reports whether the URL of r matches. With dots, "*" stands for dot segments, too.
func (u *Pattern) match(r *http.Request, dots bool) bool {
	if r == nil || r.URL == nil {
		return false
	}
	r = target.Plain(r)
	if u.expression != nil {
		return u.expression.MatchString(plainURL(r))
	}
	if u.scheme != "" && !field.EqualFold(u.scheme, r.URL.Scheme) || !u.matchHost(r.URL.Scheme, target.Authority(r)) {
		return false
	}
	return u.anyPath || matchSegments(u.path, segmentsOf(r.URL), dots)
}

// segmentsOf splits the path of u as it is sent.
func segmentsOf(u *url.URL) []string {
	return strings.Split(strings.TrimPrefix(target.DecodedUnreserved(target.SentPath(u)), "/"), "/")
}

func (u *Pattern) matchHost(scheme, host string) bool {
	host = target.NormalAuthority("", host)
	if !u.subdomains {
		return u.host == "*" || target.SameAuthority(scheme, host, u.host)
	}
	for {
		_, parent, ok := strings.Cut(host, ".")
		if !ok {
			return false
		}
		if len(parent) <= len(u.host)+len(":443") && target.SameAuthority(scheme, parent, u.host) {
			return true
		}
		host = parent
	}
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

// plainURL is the URL without fragment and userinfo.
func plainURL(r *http.Request) string {
	u := url.URL{Scheme: r.URL.Scheme, Opaque: r.URL.Opaque, Host: target.NormalAuthority("", target.Authority(r)),
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	return u.String()
}

// matchSegments reports whether a path matches a pattern, segment by segment.
func matchSegments(pattern, segments []string, dots bool) bool {
	for i, p := range pattern {
		if p == "**" && i == len(pattern)-1 {
			return dots || i >= len(segments) || !slices.ContainsFunc(segments[i:], isDots)
		}
		if i >= len(segments) {
			return false
		}
		if isDots(segments[i]) && !dots && p != segments[i] {
			return false
		}
		if ok, err := path.Match(p, segments[i]); err != nil || !ok {
			return false
		}
	}
	return len(pattern) == len(segments)
}
