package expiry

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/urlpattern"
)

// First returns the strategy that asks the given ones in turn and takes the first verdict that is not silent. It skips nil strategies.
func First(strategies ...Strategy) Strategy {
	strategies = slices.DeleteFunc(slices.Clone(strategies), func(s Strategy) bool { return s == nil })
	return strategyFunc(func(x Exchange) Verdict {
		for _, s := range strategies {
			if v := s.Expiry(x); !v.Silent() {
				return v
			}
		}
		return Verdict{}
	})
}

// ByStatus returns the strategy that asks the one for the response's status. It is silent if there is none.
// Its verdict stores the response whatever the status is, even one that is not cacheable by default; see [Verdict].AnyStatus.
func ByStatus(strategies map[int]Strategy) Strategy {
	strategies = maps.Clone(strategies)
	return strategyFunc(func(x Exchange) Verdict {
		s := strategies[x.Response.StatusCode]
		if s == nil {
			return Verdict{}
		}
		v := s.Expiry(x)
		v.AnyStatus = !v.Silent()
		return v
	})
}

// ByType returns the strategy that asks the one for the response's media type: "text/html", else "text/*", else "*/*".
// It is silent if there is none.
func ByType(strategies map[string]Strategy) Strategy {
	lower := make(map[string]Strategy, len(strategies))
	for name, s := range strategies {
		lower[strings.ToLower(name)] = s
	}
	return strategyFunc(func(x Exchange) Verdict {
		mediaType, _, _ := mime.ParseMediaType(x.Response.Header.Get("Content-Type"))
		major, _, _ := strings.Cut(mediaType, "/")
		for _, name := range [...]string{mediaType, major + "/*", "*/*"} {
			if s := lower[name]; s != nil {
				return s.Expiry(x)
			}
		}
		return Verdict{}
	})
}

// A URLRule is one row of [ByURL]: the strategy for the URLs that match a pattern.
type URLRule struct {
	Pattern string
	Strategy
}

// ByURL returns the strategy that asks the one with the first pattern that matches the request's URL. It is silent if none matches.
// A malformed pattern, or a nil strategy, is an error.
//
// A pattern is "host" or "host/path", optionally behind "scheme://".
//   - In a host, a leading "*." stands for one or more subdomains, and "*" alone for any host.
//     A port must be given unless it is the scheme's default. Hosts compare as a whole: "site.com" does not match "site.com.evil.org".
//   - In a path, "*" stands for one segment or a piece of one, and "**" as the last segment for all that follows. A pattern without a path matches every path.
//   - The query is ignored.
//   - It is one of whole URLs: "*.png" is any subdomain of the host "png", "*/img/*.png" are the images in a directory of any host.
//
// A pattern of "~" followed by a regular expression is matched against the whole URL without fragment and userinfo. It matches anywhere in the URL:
// write ^ and $ where you mean them.
func ByURL(rules ...URLRule) (Strategy, error) {
	rules = slices.Clone(rules)
	compiled := make([]*urlpattern.Pattern, len(rules))
	for i, rule := range rules {
		var err error
		if compiled[i], err = urlpattern.Compile(rule.Pattern); err == nil && rule.Strategy == nil {
			err = errors.New("its strategy is nil: give one")
		}
		if err != nil {
			return nil, fmt.Errorf("expiry: pattern %q: %w", rule.Pattern, err)
		}
	}
	return strategyFunc(func(x Exchange) Verdict {
		for i, pattern := range compiled {
			if pattern.Match(x.Request) {
				return rules[i].Expiry(x)
			}
		}
		return Verdict{}
	}), nil
}
