package rfc9111

import (
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
)

// OverridesSafely reports whether all methods that a request names in place of its own are safe.
func OverridesSafely(h http.Header) bool {
	for name, values := range h {
		if classifyField(name) == methodOverride && slices.ContainsFunc(values, func(method string) bool { return !Safe(strings.ToUpper(field.TrimOWS(method))) }) {
			return false
		}
	}
	return true
}

// classify finds what keeps a request away from the store.
func (a *Request) classify(r *http.Request, p *Policy) {
	switch {
	case a.Override:
		a.SetBypass(overrideBypass, cachestatus.FwdMethod)
	case !p.Answers(r.Method):
		a.SetBypass(methodBypass, cachestatus.FwdMethod)
	case a.Mode == ModeDisabled:
		a.SetBypass("disabled", cachestatus.FwdBypass)
	case a.Mode == modeNoStore:
		a.SetBypass("mode no-store", cachestatus.FwdBypass)
	case a.Directives.NoStore:
		a.SetBypass("request no-store", cachestatus.FwdBypass)
	case r.Body != nil && r.Body != http.NoBody && (r.Method == "" || r.Method == http.MethodGet || a.Head):
		a.SetBypass("request has content", cachestatus.FwdBypass)
	case a.precondition:
		a.SetBypass("precondition for the origin", cachestatus.FwdBypass)
	case len(a.Ranges) > 0 && r.Method != http.MethodHead && !a.parseRange():
		a.SetBypass("a range that the origin has to answer", cachestatus.FwdBypass)
	case a.upgrade:
		a.SetBypass("upgrade", cachestatus.FwdBypass)
	}
}

// methodBypass is the reason for which requests with other methods keep out of the store: they cannot be answered from it, but may fill it.
const methodBypass = "method"

// overrideBypass is the reason for which requests keep out of the store that name another method than their own, by X-HTTP-Method-Override for one:
// servers take them for that.
const overrideBypass = "method override"

func (a *Request) SetBypass(why string, as string) {
	a.Bypass, a.bypassFwd = why, as
}

// SwitchedOff is the reason for which requests keep out of the store while there is none.
const SwitchedOff = "switched off"

// absent tells that the request is one that there is no cache for: nobody is here to refuse it.
func (a *Request) absent() bool {
	return a.Bypass == methodBypass || a.Bypass == UnsafeBypass || a.Bypass == overrideBypass || a.Bypass == SwitchedOff || a.Mode == ModeDisabled || a.Mode == modeNoStore
}

// Bypassed is the decision for a request that keeps out of the store.
// If only the store was allowed, one that it cannot answer is refused (RFC 9111 §5.2.1.7).
func (a *Request) Bypassed() Decision {
	if a.onlyStored() && !a.absent() {
		return Decision{Action: Refuse, Detail: "only-if-cached, " + a.Bypass}
	}
	return Decision{Action: Fetch, Fwd: a.bypassFwd, Detail: a.Bypass}
}

// MayStore tells whether the answer may be stored, as far as the request is concerned (RFC 9111 §3, §5.2.1.5).
func (a *Request) MayStore() bool {
	return (a.Bypass == "" || a.Bypass == methodBypass) && a.Mode != ModeReadOnly && a.Mode != ModeDisabled && a.Mode != modeNoStore && !a.Directives.NoStore
}

// UnsafeBypass is the reason for which a request keeps out of the store whose method could be answered from it.
const UnsafeBypass = "unsafe"
