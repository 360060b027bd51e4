package expiry

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/urlpattern"
)

// First returns the strategy that asks the given ones in turn and takes the first verdict that is not silent. Nil strategies are skipped.
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

// FromServer returns the strategy that follows the server where it says something about caching, in Cache-Control or Expires, and is silent where it does not.
func FromServer() Strategy {
	return strategyFunc(func(x Exchange) Verdict {
		d, _ := field.Controlling(x.Response.Header, x.Targeted)
		if _, explicit := Explicit(x); !explicit && !d.NoStore && !d.NoCache && !(d.Private && x.Shared) {
			return Verdict{}
		}
		return Default().Expiry(x)
	})
}

// ByStatus returns the strategy that asks the one for the response's status, and is silent if there is none.
// A verdict from it stores the response whatever the status is, be it one that is not cacheable by default.
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

// ByType returns the strategy that asks the one for the response's media type: "text/html", or "image/*" for all images, the longer one first.
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

// Clamp returns s with lifetimes of at least least and at most most. A most of zero means no upper bound.
// A silent verdict of s stands for the server's word. What is not to be stored stays so, and so does what the server wants to be validated each time,
// unless s overrules it. A cache does not keep an error for longer than the server says, whatever least is; see [Verdict].
func Clamp(s Strategy, least, most time.Duration) Strategy {
	return adjusted(s, func(x Exchange, v Verdict) Verdict {
		if least > 0 {
			v.lifetime = max(v.lifetime, least)
		}
		if most > 0 {
			v.lifetime = min(v.lifetime, most)
		}
		return v
	})
}

// Jitter returns s with lifetimes shortened by up to fraction of their length, so that what was stored together does not expire together.
// How much is taken off follows from URL and time of receipt, so that the same response always gets the same lifetime. A fraction is between 0 and 1.
func Jitter(s Strategy, fraction float64) Strategy {
	fraction = min(max(fraction, 0), 1)
	return adjusted(s, func(x Exchange, v Verdict) Verdict {
		v.lifetime -= time.Duration(float64(v.lifetime) * fraction * chance(x))
		return v
	})
}

// chance is a number from 0 to 1 that is spread evenly over URLs and times.
func chance(x Exchange) float64 {
	h := uint64(14695981039346656037) // FNV-1a
	mix := func(s string) {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	if x.Request != nil && x.Request.URL != nil {
		mix(x.Request.URL.Host)
		mix(x.Request.URL.Path)
		mix(x.Request.URL.RawQuery)
	}
	h = (h ^ uint64(x.Now.UnixNano())) * 1099511628211
	h ^= h >> 32
	return float64(h%10007) / 10006
}

// Sliding returns s with lifetimes that begin anew with each use.
func Sliding(s Strategy) Strategy {
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		v.Sliding = true
		return v
	})
}

// StaleWindows returns s with these windows in which a stale response may be used while it is refreshed, or in place of an error (RFC 5861),
// whatever the server says about that. Zero means as the server says, a negative window means never.
func StaleWindows(s Strategy, whileRevalidate, ifError time.Duration) Strategy {
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		v.StaleWhileRevalidate, v.StaleIfError = whileRevalidate, ifError
		return v
	})
}

// adjusted returns s with a change to its verdicts. A silent one is first replaced by the server's word.
func adjusted(s Strategy, change func(Exchange, Verdict) Verdict) Strategy {
	if s == nil {
		s = Default()
	}
	return strategyFunc(func(x Exchange) Verdict {
		v := s.Expiry(x)
		if v.Silent() {
			v = Default().Expiry(x)
		}
		if v.Refused() {
			return v
		}
		return change(x, v)
	})
}

// URLRule is one row of [ByURL].
type URLRule struct {
	Pattern string
	Strategy
}

// ByURL returns the strategy that asks the one with the first pattern that fits the request's URL, and is silent if none fits.
//
// A pattern is "host", "host/path", or either behind "scheme://". In a host, "*." at the beginning stands for any number of subdomains,
// but not for none, and "*" alone for any host; a port must be given if it is not the scheme's own. In a path, "*" stands for one segment or a piece of one,
// and "**" as a last segment for all that follows; without a path every path fits. The query does not take part.
// Hosts are compared as a whole: "site.com" does not fit "site.com.evil.org". A pattern of "~" followed by a regular expression is matched against
// the whole URL without fragment and userinfo: write ^ and $ where you mean them.
//
// A malformed pattern, or a nil strategy, is an error.
func ByURL(rules ...URLRule) (Strategy, error) {
	rules = slices.Clone(rules)
	compiled := make([]*urlpattern.Pattern, len(rules))
	for i, rule := range rules {
		var err error
		if compiled[i], err = urlpattern.Compile(rule.Pattern); err == nil && rule.Strategy == nil {
			err = errors.New("its strategy is nil")
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

// Precedence are the sources of a lifetime, in the order in which they are asked: the request's max-age, the response, the choice for the request,
// the choice for its URL, and the default. The zero Precedence asks the first three and then follows RFC 9111.
type Precedence struct {
	// IgnoreRequest leaves the request's Cache-Control out of account.
	IgnoreRequest bool

	// IgnoreResponse leaves out of account what the server says.
	IgnoreResponse bool

	// IgnorePerRequest leaves out of account what the caller chose for the request.
	IgnorePerRequest bool

	// URLs is the choice by URL, mostly from [ByURL]. Nil means none.
	URLs Strategy

	// Default is asked when all others are silent. Nil means [Default].
	Default Strategy
}

// Expiry asks the sources in turn.
func (p Precedence) Expiry(x Exchange) Verdict {
	var sources []Strategy
	if !p.IgnoreRequest {
		sources = append(sources, strategyFunc(requested))
	}
	if !p.IgnoreResponse {
		sources = append(sources, FromServer())
	}
	if chosen := x.PerRequest; chosen != nil && !p.IgnorePerRequest {
		sources = append(sources, strategyFunc(func(x Exchange) Verdict {
			x.PerRequest = nil // the choice can be a Precedence itself, and is not asked for itself again
			return chosen.Expiry(x)
		}))
	}
	return First(append(sources, p.URLs, p.Default)...).Expiry(x)
}

// AsksPerRequest tells a cache that the strategy asks Exchange.PerRequest in its turn. Of other strategies the choice for the request takes the place.
func (p Precedence) AsksPerRequest() bool { return true }

// requested is the verdict of the request's own directives.
func requested(x Exchange) Verdict {
	if x.Request == nil {
		return Verdict{}
	}
	switch d := field.ParseRequest(x.Request.Header["Cache-Control"]); {
	case d.NoStore:
		return Refuse()
	case d.MaxAge.Set && d.MaxAge.Value > 0:
		return Lifetime(d.MaxAge.Value)
	}
	return Verdict{}
}

var _ Strategy = Precedence{}
