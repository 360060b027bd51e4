package expiry

import (
	"time"

	"github.com/plyhttp/ply/internal/freshness"
)

// A Verdict is the answer of a [Strategy]. [Lifetime], [Follow] and [Refuse] make one.
//
// The zero Verdict is silent: it has no opinion. [First] then asks the next strategy, and if all are silent the response has no lifetime of its own;
// see [Default].
type Verdict struct {
	kind     kind
	lifetime time.Duration

	// StaleWhileRevalidate and StaleIfError are the times after the end of the lifetime in which a stale response may be served
	// while it is refreshed, or in place of an error (RFC 5861). They replace what the server allows.
	// Zero leaves the choice to the server; a negative value forbids it.
	StaleWhileRevalidate, StaleIfError time.Duration

	// RefreshWithin is the last part of the lifetime, as a fraction from 0 to 1, in which a hit has the response refreshed in the background; see [Ahead].
	// XFetch is how eagerly hits have it refreshed, weighed by what a fetch takes; see [XFetch]. Zero means that nothing is refreshed while it is fresh.
	RefreshWithin, XFetch float64

	// AnyStatus stores the response whatever its final status is, as [ByStatus] does.
	//
	// Without it a strategy's lifetime applies to statuses below 400 that are cacheable by default (RFC 9110 §15.1)
	// or that the server gave a lifetime. It may shorten the life of an error, a 4xx or 5xx, but neither begins nor prolongs it:
	// a cache stores an error only if the server gave it a lifetime above zero, keeps it no longer than that, and obeys its no-store.
	AnyStatus bool

	// Sliding restarts the lifetime each time the response is used.
	Sliding bool
}

type kind uint8

const (
	silent      kind = iota
	standard         // the server's lifetime, counted from when the response was generated (RFC 9111 §4.2.3)
	fromReceipt      // the strategy's own lifetime, counted from receipt
	refused
)

// Lifetime returns the verdict that a response is fresh for d after its receipt, whatever the server says.
// Zero or less means that it must be validated before each use.
func Lifetime(d time.Duration) Verdict {
	return Verdict{kind: fromReceipt, lifetime: max(d, 0)}
}

// Follow returns the verdict that the server decides: the lifetime counts from when the response was generated (RFC 9111 §4.2.3),
// and the server's other directives apply.
func Follow(lifetime time.Duration) Verdict {
	return Verdict{kind: standard, lifetime: freshness.Clamp(lifetime)}
}

// Refuse returns the verdict that a response must not be stored.
func Refuse() Verdict {
	return Verdict{kind: refused}
}

// Silent reports whether the verdict has no opinion.
func (v Verdict) Silent() bool { return v.kind == silent }

// Refused reports whether the response must not be stored.
func (v Verdict) Refused() bool { return v.kind == refused }

// Overrules reports whether the verdict replaces what the server says.
func (v Verdict) Overrules() bool { return v.kind == fromReceipt }

// For returns the freshness lifetime (RFC 9111 §4.2.1) of a response that had the given age on receipt.
func (v Verdict) For(age time.Duration) time.Duration {
	if v.kind == fromReceipt {
		return min(v.lifetime, freshness.Forever) + age
	}
	return v.lifetime
}
