// Package expiry says how long a response is good.
//
// A cache asks a [Strategy] when it has received a response, and again when a response has been validated.
// [Default] follows the server, as RFC 9111 §4.2 has it; other strategies overrule it or fill in where the server says nothing.
// They are pure: the time is an argument, and nothing is read but what they are given.
package expiry

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// A Strategy says how long a response is good. It must be safe for concurrent use.
type Strategy interface {
	Expiry(Exchange) Verdict
}

// An Exchange is what a strategy decides upon. It must not be changed or retained.
type Exchange struct {
	Request  *http.Request  // as the caller sent it; its body is not to be read
	Response *http.Response // status and header; a validated response has its updated header. The body is not to be read
	Now      time.Time      // when the response was received

	// Shared tells that the cache serves more than one person (RFC 9111 §1.2.2, s-maxage).
	Shared bool

	// PerRequest is what the caller chose for this request, or nil.
	PerRequest Strategy

	// Targeted names the fields that are obeyed before Cache-Control, first one first (RFC 9213).
	Targeted []string
}

// Func is a [Strategy] made of one function of request, response and now.
type Func func(r *http.Request, resp *http.Response, now time.Time) Verdict

// Expiry calls f.
func (f Func) Expiry(x Exchange) Verdict {
	return f(x.Request, x.Response, x.Now)
}

type strategyFunc func(Exchange) Verdict

func (f strategyFunc) Expiry(x Exchange) Verdict { return f(x) }

// A Verdict is a strategy's answer. The zero Verdict has no opinion: the next strategy is asked, and in the end RFC 9111 decides.
type Verdict struct {
	kind     kind
	lifetime time.Duration

	// StaleWhileRevalidate and StaleIfError allow stale answers for so long after the end of the lifetime (RFC 5861),
	// in place of what the server allows. Zero means as the server says; a negative value means never.
	StaleWhileRevalidate, StaleIfError time.Duration

	// AnyStatus stores the response whatever its final status is, as [ByStatus] has it.
	// Otherwise a strategy's lifetime applies to statuses below 400 that are cacheable by default (RFC 9110 §15.1)
	// or that the server itself gave a lifetime. It may shorten the life of an error, a 4xx or 5xx, but never begins or prolongs it:
	// a cache keeps an error only if the server gave it a lifetime above zero, for as long as the server says, and obeys its no-store.
	AnyStatus bool

	// Sliding lets each use of the response begin its lifetime anew.
	Sliding bool
}

type kind uint8

const (
	silent      kind = iota
	standard         // as RFC 9111 says, lifetime counted from the response's generation
	fromReceipt      // overruled, lifetime counted from receipt
	doNotCache
)

// Lifetime returns the verdict that a response is good for d after it was received, whatever the server says.
// Zero or less means that it must be validated before each use.
func Lifetime(d time.Duration) Verdict {
	return Verdict{kind: fromReceipt, lifetime: max(d, 0)}
}

// Refuse returns the verdict that a response is not to be stored.
func Refuse() Verdict {
	return Verdict{kind: doNotCache}
}

// Follow returns the verdict that the server's word counts: a lifetime that is counted, as RFC 9111 §4.2.3 has it, from when the response was generated.
func Follow(lifetime time.Duration) Verdict {
	return Verdict{kind: standard, lifetime: clamp(lifetime)}
}

// Silent tells that the verdict has no opinion.
func (v Verdict) Silent() bool { return v.kind == silent }

// Refused tells that the response is not to be stored.
func (v Verdict) Refused() bool { return v.kind == doNotCache }

// Overrules tells that the verdict replaces what the server says.
func (v Verdict) Overrules() bool { return v.kind == fromReceipt }

// For returns the freshness lifetime (RFC 9111 §4.2.1) of a response that was age old when it was received.
func (v Verdict) For(age time.Duration) time.Duration {
	if v.kind == fromReceipt {
		return min(v.lifetime, forever) + age
	}
	return v.lifetime
}

// forever stands for a lifetime without end: the longest that a cache counts (RFC 9111 §1.2.2).
const forever = field.MaxDelta * time.Second
