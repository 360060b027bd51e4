package expiry

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/plyhttp/ply/internal/target"
)

// urlRule is a compiled rule.
type urlRule struct {
	Strategy
	expression *regexp.Regexp
	scheme     string // or "" for any
	host       string // in lower case; "*" for any
	subdomains bool   // any subdomain of host
	path       []string
	anyPath    bool
}

func compile(rule Rule) (urlRule, error) {
	u := urlRule{Strategy: rule.Strategy}
	if rule.Strategy == nil {
		return u, errors.New("its strategy is nil")
	}
	if expression, ok := strings.CutPrefix(rule.Pattern, "~"); ok {
		var err error
		u.expression, err = regexp.Compile(expression)
		return u, err
	}
	rest := rule.Pattern
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		if u.scheme = strings.ToLower(scheme); u.scheme != "http" && u.scheme != "https" {
			return u, errors.New("the scheme must be http or https")
		}
		rest = after
	}
	host, p, hasPath := strings.Cut(rest, "/")
	if err := u.setHost(strings.ToLower(host)); err != nil {
		return u, err
	}
	u.anyPath = !hasPath
	u.path = strings.Split(p, "/")
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

func (u *urlRule) setHost(host string) error {
	if after, ok := strings.CutPrefix(host, "*."); ok {
		host, u.subdomains = after, true
	}
	u.host = host
	switch {
	case host == "" || u.subdomains && host == "*":
		return errors.New("the host is missing")
	case host != "*" && strings.Contains(host, "*"):
		return errors.New(`in a host, "*" stands alone or at the beginning, before a dot`)
	case strings.ContainsAny(host, "@?#"):
		return errors.New("the host must have no userinfo, query or fragment")
	}
	return nil
}

func (u *urlRule) fits(r *http.Request) bool {
	if r == nil || r.URL == nil {
		return false
	}
	if u.expression != nil {
		return u.expression.MatchString(plainURL(r))
	}
	if u.scheme != "" && !target.EqualFold(u.scheme, r.URL.Scheme) || !u.fitsHost(r) {
		return false
	}
	return u.anyPath || matchSegments(u.path, strings.Split(strings.TrimPrefix(target.NormalPath(r.URL), "/"), "/"))
}

func (u *urlRule) fitsHost(r *http.Request) bool {
	host := strings.ToLower(effectiveHost(r))
	if !u.subdomains {
		return u.host == "*" || target.SameAuthority(r.URL.Scheme, host, u.host)
	}
	for {
		_, parent, ok := strings.Cut(host, ".")
		if !ok {
			return false
		}
		if target.SameAuthority(r.URL.Scheme, parent, u.host) {
			return true
		}
		host = parent
	}
}

// plainURL is the URL without fragment and userinfo.
func plainURL(r *http.Request) string {
	u := url.URL{Scheme: r.URL.Scheme, Opaque: r.URL.Opaque, Host: effectiveHost(r),
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	return u.String()
}
