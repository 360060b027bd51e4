package rfc9111

import (
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// action is what becomes of a request.
type action uint8

const (
	Fetch      action = iota // forward the request
	Serve                    // answer from the store
	ServeStale               // answer from the store, and refresh in the background
	Validate                 // forward a conditional request
	Complete                 // forward a request for the bytes that a stored part lacks (RFC 9111 §3.3)
	Refuse                   // 504: only the store was allowed (RFC 9111 §5.2.1.7)
)

// Decision is an action and the reason for it.
type Decision struct {
	Action action
	Fwd    string // why the request is forwarded, if it is (RFC 9211 §2.2)
	Detail string
}

// Unconditional returns d for a request whose content can be sent only once: it is forwarded without a condition of the cache's.
func (d Decision) Unconditional() Decision {
	d.Action = Fetch
	return d
}

// Lookup is the result of a lookup in the store.
type Lookup struct {
	Entry    *stored.Entry    // the variant that fits, or nil
	Fwd      string           // why none fits (RFC 9211 §2.2)
	Variants *stored.Variants // all responses that are stored under the key
	Key      string           // of the variants, if it is not the request's own
}

// offers reports whether the origin could choose one of the stored variants by its tag, where none fits the request (RFC 9111 §4.1).
func (f *Lookup) offers() bool {
	if f.Variants == nil || f.Fwd != cachestatus.FwdVary {
		return false
	}
	for _, e := range f.Variants.Entries {
		if e.Etag().Opaque != "" && e.Part == nil {
			return true
		}
	}
	return false
}

// Decide says what to do with a request, given what was found for it in the store (RFC 9111 §4).
// Over 15 branches on purpose: the cases stand in one switch, in the order in which they count, which would be hidden otherwise.
func Decide(a *Request, f *Lookup, now time.Time) Decision {
	e := f.Entry
	switch {
	case a.Bypass != "":
		return a.Bypassed()
	case a.plain && e != nil && e.Part == nil && !e.Rules.NoCache && e.FreshFor(now) > 0:
		return Decision{Action: Serve} // the fast path: the rules below decide the same
	case a.Mode == ModeReload && e == nil:
		return Decision{Action: Fetch, Fwd: f.Fwd, Detail: "reload"}
	case a.Mode == ModeReload:
		return Decision{Action: Fetch, Fwd: cachestatus.FwdRequest, Detail: "reload"}
	case e == nil && a.onlyStored():
		return Decision{Action: Refuse, Detail: "only-if-cached, nothing stored"}
	case e == nil && f.offers() && !a.ranged && !a.Head:
		return Decision{Action: Validate, Fwd: f.Fwd, Detail: "other variants offered"}
	case e == nil:
		return Decision{Action: Fetch, Fwd: f.Fwd}
	case !enough(a, e):
		return decidePart(a, e)
	case a.Mode == modeForceCache || a.Mode == modeOnlyIfCached:
		return Decision{Action: Serve, Detail: "mode " + a.Mode.String()}
	}
	d := decideStored(a, e, now)
	if a.Directives.OnlyIfCached && d.Action != Serve && d.Action != ServeStale {
		return Decision{Action: Refuse, Detail: "only-if-cached, stored response cannot be used: " + d.Detail}
	}
	if a.Directives.OnlyIfCached && d.Action == ServeStale {
		d.Action = Serve // the origin is not to be asked in the background either
	}
	if d.Action == Validate && !e.HasValidator() {
		d.Action = Fetch
	}
	return d
}

func enough(a *Request, e *stored.Entry) bool {
	if e.Part == nil {
		return true
	}
	_, ok := holds(a, e)
	return ok
}

// decidePart is the decision for a stored part that lacks bytes which the request asks for (RFC 9111 §3.3).
func decidePart(a *Request, e *stored.Entry) Decision {
	if a.onlyStored() {
		return Decision{Action: Refuse, Detail: "only-if-cached, only a part is stored"}
	}
	if _, ok := remainder(e); ok && len(a.Ranges) == 0 && !a.Conditional() && !a.Head {
		return Decision{Action: Complete, Fwd: cachestatus.FwdPartial}
	}
	return Decision{Action: Fetch, Fwd: cachestatus.FwdPartial}
}

// decideStored weighs a stored response against what the request demands (RFC 9111 §4, §4.2.4, §5.2.1).
func decideStored(a *Request, e *stored.Entry, now time.Time) Decision {
	age := e.Age(now)
	left := e.FreshFor(now)
	switch {
	case a.Mode == ModeNoCache:
		return Decision{Action: Validate, Fwd: cachestatus.FwdRequest, Detail: "mode no-cache"}
	case e.Rules.NoCache:
		return Decision{Action: Validate, Fwd: cachestatus.FwdStale, Detail: "no-cache"}
	case a.Directives.NoCache || a.Pragma:
		return Decision{Action: Validate, Fwd: cachestatus.FwdRequest, Detail: "request no-cache"}
	}
	fresh := left > 0
	if reason := a.Unacceptable(e, age, left, fresh); reason != "" {
		return Decision{Action: Validate, Fwd: cachestatus.FwdRequest, Detail: reason}
	}
	switch {
	case fresh:
		return Decision{Action: Serve}
	case a.acceptsStale(e, -left):
		return Decision{Action: Serve, Detail: "max-stale"}
	case !a.refuses(-left) && e.Rules.MayServeStale() && -left <= e.Rules.StaleWhileRevalidate && e.Rules.StaleWhileRevalidate > 0:
		return Decision{Action: ServeStale, Detail: "stale-while-revalidate"}
	}
	return Decision{Action: Validate, Fwd: cachestatus.FwdStale}
}

// Unacceptable names the request directive that a stored response does not satisfy (RFC 9111 §5.2.1.1, §5.2.1.3).
// A fresh immutable response satisfies any max-age: reloading it cannot change it (RFC 8246 §2).
func (a *Request) Unacceptable(e *stored.Entry, age, left time.Duration, fresh bool) string {
	d := &a.Directives
	switch {
	case d.MaxAge.Set && (age > d.MaxAge.Value || d.MaxAge.Value == 0) && !(fresh && e.Rules.Immutable) && !a.acceptsAge(age):
		return "request max-age"
	case d.MinFresh.Set && left < d.MinFresh.Value:
		return "request min-fresh"
	}
	return ""
}

// acceptsAge reports whether max-stale allows an age beyond max-age (RFC 9111 §5.2.1.1).
func (a *Request) acceptsAge(age time.Duration) bool {
	d := &a.Directives
	return d.AnyStale || d.MaxStale.Set && age-d.MaxAge.Value <= d.MaxStale.Value
}

// acceptsStale reports whether the request allows this staleness (RFC 9111 §5.2.1.2) and the response does not forbid it (§4.2.4).
func (a *Request) acceptsStale(e *stored.Entry, staleness time.Duration) bool {
	d := &a.Directives
	return e.Rules.MayServeStale() && (d.AnyStale || d.MaxStale.Set && staleness <= d.MaxStale.Value)
}

// refuses reports whether the request limits the age or the freshness of its response, or its staleness to less than this (RFC 9111 §5.2.1).
func (a *Request) refuses(staleness time.Duration) bool {
	d := &a.Directives
	return d.MaxAge.Set || d.MinFresh.Set || d.MaxStale.Set && staleness > d.MaxStale.Value
}
