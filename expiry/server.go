package expiry

import "github.com/plyhttp/ply/internal/freshness"

// Default returns the strategy that follows the server: s-maxage in a shared cache, max-age, Expires,
// and else a heuristic, ten percent of the time since the last modification and one week at most (RFC 9111 §4.2.1, §4.2.2).
//
// It is silent where neither the server nor the heuristic says anything, so that another strategy can fill in:
//
//	expiry.First(expiry.Default(), expiry.After(time.Minute))
//
// The server says something with a lifetime, even with one that cannot be read, and with no-store, no-cache, Pragma: no-cache,
// and private in a shared cache. Where every strategy is silent a response has no lifetime:
// the cache validates it before each use, and does not store what it cannot validate. [Follow] with zero is the verdict that says so,
// for a strategy that must keep a later one from filling in.
func Default() Strategy {
	return strategyFunc(func(x Exchange) Verdict {
		if l := lifetimeOf(x); l.Explicit || l.Restricted || l.Heuristic {
			return Follow(l.Value)
		}
		return Verdict{}
	})
}

// FromServer returns the strategy that follows the server where the server itself says something, as [Default] describes it.
// It is silent where only a heuristic would give the response a lifetime.
func FromServer() Strategy {
	return strategyFunc(func(x Exchange) Verdict {
		if l := lifetimeOf(x); l.Explicit || l.Restricted {
			return Follow(l.Value)
		}
		return Verdict{}
	})
}

// lifetimeOf returns the lifetime that RFC 9111 §4.2 gives the response.
func lifetimeOf(x Exchange) freshness.Lifetime {
	return freshness.Of(freshness.Response{
		Status: x.Response.StatusCode, Header: x.Response.Header, Received: x.Now, Shared: x.Shared, Targeted: x.Targeted,
	})
}
