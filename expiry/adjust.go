package expiry

import "time"

// Clamp returns s with lifetimes of at least least and at most most. A most of zero means no upper bound.
//
// A nil s, and a silent verdict of s, stand for [Default]. Where that is silent too, Clamp gives the response the lifetime least, or is silent if least is zero.
// A response that is not to be stored stays so, and so does one that the server wants validated before each use, unless s overrules the server.
// A cache keeps an error no longer than the server says, whatever least is; see [Verdict].
func Clamp(s Strategy, least, most time.Duration) Strategy {
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		if least > 0 {
			v = v.spoken()
			v.lifetime = max(v.lifetime, least)
		}
		if most > 0 {
			v.lifetime = min(v.lifetime, most)
		}
		return v
	})
}

// Jitter returns s with lifetimes shortened by up to fraction of their length, so that responses stored together do not expire together.
// The fraction is between 0 and 1. The URL and the time of receipt decide how much is taken off, so that the same response always gets the same lifetime.
// A nil s, and a silent verdict of s, stand for [Default].
func Jitter(s Strategy, fraction float64) Strategy {
	if fraction = min(max(fraction, 0), 1); fraction != fraction {
		fraction = 0 // not a number
	}
	return adjusted(s, func(x Exchange, v Verdict) Verdict {
		v.lifetime -= time.Duration(float64(v.lifetime) * fraction * chance(x))
		return v
	})
}

// chance is a number from 0 to 1, spread evenly over URLs and times.
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

// Sliding returns s with lifetimes that start again with each use of the response. A nil s, and a silent verdict of s, stand for [Default].
func Sliding(s Strategy) Strategy {
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		v.Sliding = true
		return v
	})
}

// StaleWindows returns s with the times in which a stale response may be served while it is refreshed, or in place of an error (RFC 5861),
// whatever the server says about that. Zero leaves a window to the server; a negative window forbids it.
//
// A nil s, and a silent verdict of s, stand for [Default]. Where that is silent too, the response has these windows and a lifetime of zero:
// put StaleWindows around [First], not into it.
func StaleWindows(s Strategy, whileRevalidate, ifError time.Duration) Strategy {
	return adjusted(s, func(_ Exchange, v Verdict) Verdict {
		if whileRevalidate != 0 || ifError != 0 {
			v = v.spoken()
		}
		v.StaleWhileRevalidate, v.StaleIfError = whileRevalidate, ifError
		return v
	})
}

// spoken returns v, or for a silent verdict one that says what the cache would conclude from silence: no lifetime.
func (v Verdict) spoken() Verdict {
	if v.Silent() {
		v.kind = standard
	}
	return v
}

// adjusted returns s with a change to its verdicts. A silent one is first replaced by the verdict of [Default], which can be silent, too.
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
