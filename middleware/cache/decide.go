package cache

import (
	"errors"
	"time"
)

// action is what becomes of a request.
type action uint8

const (
	fetch      action = iota // forward the request
	serve                    // answer from the store
	serveStale               // answer from the store, refresh behind
	validate                 // forward a conditional request
	complete                 // forward a request for the bytes that a stored part lacks
	refuse                   // 504: only the store was allowed (RFC 9111 §5.2.1.7)
)

// decision is an action and why it was taken.
type decision struct {
	action action
	fwd    Forward // why the request is forwarded, if it is
	detail string
}

// fetching returns d for a request that cannot be sent twice: it is sent as it is.
func (d decision) fetching() decision {
	d.action = fetch
	return d
}

// posture is how the cache was set up, as far as the rules care.
type posture struct {
	shared        bool
	oneIdentity   bool          // credentials that are added below are one principal's
	methods       []string      // that are answered from the store; nil for the usual ones
	statuses      []int         // that are stored and served; nil for all that may be
	strictCookie  bool          // a shared cache stores nothing that sets a cookie
	replayCookies bool          // cookies are stored and set again
	targeted      []string      // fields that are obeyed before Cache-Control (RFC 9213)
	disconnected  time.Duration // how stale an answer may be when the origin cannot be reached

	staleWhileRevalidate, staleIfError time.Duration // for responses that do not say
}

// found is what a lookup came to.
type found struct {
	entry *Entry    // the variant that fits, or nil
	why   Forward   // why none fits
	set   *variants // that the entry is from, or what is stored under the key
	key   string    // that set is stored under, if it is not the request's own
	seen  *sight    // the marks that a byte store had then
}

// offers tells whether the origin could choose one of the stored variants by its tag, where none fits the request (RFC 9111 §4.1).
func (f *found) offers() bool {
	if f.set == nil || f.why != ForwardVary {
		return false
	}
	for _, e := range f.set.entries {
		if e.etag.Opaque != "" && e.part == nil {
			return true
		}
	}
	return false
}

// decide says what to do with a request, given what was found for it in the store (RFC 9111 §4).
func decide(a *ask, f *found, now time.Time) decision {
	e := f.entry
	switch {
	case a.bypass != "":
		return a.bypassed()
	case a.plain && e != nil && e.part == nil && !e.rules.noCache && e.left(now) > 0:
		return decision{action: serve} // what the rules below come to for most requests
	case a.mode == ModeReload && e == nil:
		return decision{action: fetch, fwd: f.why, detail: "reload"}
	case a.mode == ModeReload:
		return decision{action: fetch, fwd: ForwardRequest, detail: "reload"}
	case e == nil && a.onlyStored():
		return decision{action: refuse, detail: "only-if-cached, nothing stored"}
	case e == nil && f.offers() && !a.ranged && !a.head:
		return decision{action: validate, fwd: f.why, detail: "other variants offered"}
	case e == nil:
		return decision{action: fetch, fwd: f.why}
	case !enough(a, e):
		return decidePart(a, e)
	case a.mode == ModeForceCache || a.mode == ModeOnlyIfCached:
		return decision{action: serve, detail: "mode " + a.mode.String()}
	}
	d := decideStored(a, e, now)
	if a.directives.OnlyIfCached && d.action != serve && d.action != serveStale {
		return decision{action: refuse, detail: "only-if-cached, stored response cannot be used: " + d.detail}
	}
	if a.directives.OnlyIfCached && d.action == serveStale {
		d.action = serve // the origin is not to be asked behind the caller's back either
	}
	if d.action == validate && !e.hasValidator() {
		d.action = fetch
	}
	return d
}

func enough(a *ask, e *Entry) bool {
	if e.part == nil {
		return true
	}
	_, ok := holds(a, e)
	return ok
}

// decidePart is the decision for a stored part that lacks bytes which the request asks for (RFC 9111 §3.3).
func decidePart(a *ask, e *Entry) decision {
	if a.onlyStored() {
		return decision{action: refuse, detail: "only-if-cached, only a part is stored"}
	}
	if _, ok := remainder(e); ok && len(a.ranges) == 0 && !a.conditional() && !a.head {
		return decision{action: complete, fwd: ForwardPartial}
	}
	return decision{action: fetch, fwd: ForwardPartial}
}

// decideStored weighs a stored response against what the request demands (RFC 9111 §4, §4.2.4, §5.2.1).
func decideStored(a *ask, e *Entry, now time.Time) decision {
	age := e.age(now)
	left := e.left(now)
	switch {
	case a.mode == ModeNoCache:
		return decision{action: validate, fwd: ForwardRequest, detail: "mode no-cache"}
	case e.rules.noCache:
		return decision{action: validate, fwd: ForwardStale, detail: "no-cache"}
	case a.directives.NoCache || a.pragma:
		return decision{action: validate, fwd: ForwardRequest, detail: "request no-cache"}
	}
	fresh := left > 0
	if reason := a.unacceptable(e, age, left, fresh); reason != "" {
		return decision{action: validate, fwd: ForwardRequest, detail: reason}
	}
	switch {
	case fresh:
		return decision{action: serve}
	case a.acceptsStale(e, -left):
		return decision{action: serve, detail: "max-stale"}
	case !a.refuses(-left) && e.rules.mayServeStale() && -left <= e.rules.staleWhileRevalidate && e.rules.staleWhileRevalidate > 0:
		return decision{action: serveStale, detail: "stale-while-revalidate"}
	}
	return decision{action: validate, fwd: ForwardStale}
}

// unacceptable names the request directive that a stored response does not satisfy (RFC 9111 §5.2.1.1, §5.2.1.3).
// A fresh immutable response satisfies any max-age: reloading it cannot change it (RFC 8246 §2).
func (a *ask) unacceptable(e *Entry, age, left time.Duration, fresh bool) string {
	d := &a.directives
	switch {
	case d.MaxAge.Set && (age > d.MaxAge.Value || d.MaxAge.Value == 0) && !(fresh && e.rules.immutable) && !a.acceptsAge(age):
		return "request max-age"
	case d.MinFresh.Set && left < d.MinFresh.Value:
		return "request min-fresh"
	}
	return ""
}

// acceptsAge tells whether max-stale makes up for an age over max-age (RFC 9111 §5.2.1.1).
func (a *ask) acceptsAge(age time.Duration) bool {
	d := &a.directives
	return d.AnyStale || d.MaxStale.Set && age-d.MaxAge.Value <= d.MaxStale.Value
}

// acceptsStale tells whether the request allows a response that is so stale (RFC 9111 §5.2.1.2) and the response does not forbid it (§4.2.4).
func (a *ask) acceptsStale(e *Entry, staleness time.Duration) bool {
	d := &a.directives
	return e.rules.mayServeStale() && (d.AnyStale || d.MaxStale.Set && staleness <= d.MaxStale.Value)
}

// refuses tells whether the request limits the age of its answer, or its staleness to less than this (RFC 9111 §5.2.1.2).
func (a *ask) refuses(staleness time.Duration) bool {
	d := &a.directives
	return d.MaxAge.Set || d.MinFresh.Set || d.MaxStale.Set && staleness > d.MaxStale.Value
}

// onError says whether a stored response may stand in for a failed exchange, and why (RFC 5861 §4, RFC 9111 §4.2.4).
// Unreachable means that there was no answer at all; otherwise the answer was a server error.
func onError(a *ask, e *Entry, unreachable bool, p *posture, now time.Time) (string, bool) {
	if e == nil || e.part != nil || !e.rules.mayServeStale() || a.directives.NoCache || a.pragma || a.mode == ModeReload || a.mode == ModeNoCache {
		return "", false
	}
	staleness := -e.left(now)
	if a.directives.MinFresh.Set && -staleness < a.directives.MinFresh.Value {
		return "", false
	}
	switch {
	case staleness <= 0 && !a.directives.MaxAge.Set:
		return "fresh", true
	case e.rules.staleIfError > 0 && staleness <= e.rules.staleIfError:
		return "stale-if-error", true
	case a.directives.StaleIfError.Set && staleness <= a.directives.StaleIfError.Value:
		return "request stale-if-error", true
	case unreachable && p.disconnected > 0 && staleness <= p.disconnected:
		return "origin unreachable", true
	}
	return "", false
}

// unreachable tells whether an error means that the origin could not be reached or did not answer (RFC 5861 §4).
// An error can say so itself, with a method OriginUnavailable() bool; any other error counts as a broken connection.
func unreachable(err error) bool {
	var typed interface{ OriginUnavailable() bool }
	if errors.As(err, &typed) {
		return typed.OriginUnavailable()
	}
	return true
}
