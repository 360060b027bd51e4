package stored

import "time"

// Rules is what applies to the use of a stored response.
type Rules struct {
	Lifetime       time.Duration // freshness lifetime (RFC 9111 §4.2.1)
	NoCache        bool          // validate before each use (RFC 9111 §5.2.2.4)
	MustRevalidate bool          // never serve stale (RFC 9111 §5.2.2.2; §5.2.2.8 and §5.2.2.10 in a shared cache)
	Immutable      bool          // RFC 8246 §2
	Sliding        bool          // each use restarts the lifetime

	StaleWhileRevalidate, StaleIfError time.Duration // RFC 5861 §3, §4

	RefreshWithin time.Duration // before the end of the lifetime a hit has the response refreshed
	XFetch        float64       // the same by chance: beta, see expiry.XFetch
}

// RefreshesAhead reports whether hits can have the response refreshed while it is fresh.
func (r *Rules) RefreshesAhead() bool { return r.RefreshWithin > 0 || r.XFetch > 0 }

// MayServeStale reports whether a stale response may be used at all (RFC 9111 §4.2.4).
func (r *Rules) MayServeStale() bool {
	return !r.NoCache && !r.MustRevalidate
}

// Change puts one entry, or nil for none, in another's place.
type Change struct{ Old, Next *Entry }
