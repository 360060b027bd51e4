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

// classify sets the reason for which a request bypasses the cache, if there is one.
// Over 15 branches on purpose: one switch, whose first case that applies is the reason.
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
	case a.resumesStream && p.EventStreams:
		a.SetBypass("Last-Event-ID", cachestatus.FwdBypass)
	case a.upgrade:
		a.SetBypass("upgrade", cachestatus.FwdBypass)
	}
}

// methodBypass is the reason of requests with other methods: they cannot be answered from the store, but their responses may be stored.
const methodBypass = "method"

// overrideBypass is the reason of requests that name another method than their own, for example by X-HTTP-Method-Override: servers treat them as that method.
const overrideBypass = "method override"

func (a *Request) SetBypass(why string, as string) {
	a.Bypass, a.bypassFwd = why, as
}

// SwitchedOff is the reason of requests that are made while the cache is switched off.
const SwitchedOff = "switched off"

// absent reports whether the cache does not exist for the request: then only-if-cached is not the cache's to obey.
func (a *Request) absent() bool {
	return a.Bypass == methodBypass || a.Bypass == UnsafeBypass || a.Bypass == overrideBypass || a.Bypass == SwitchedOff || a.Mode == ModeDisabled || a.Mode == modeNoStore
}

// Bypassed is the decision for a request that bypasses the cache. With only-if-cached it is refused (RFC 9111 §5.2.1.7).
func (a *Request) Bypassed() Decision {
	if a.onlyStored() && !a.absent() {
		return Decision{Action: Refuse, Detail: "only-if-cached, " + a.Bypass}
	}
	return Decision{Action: Fetch, Fwd: a.bypassFwd, Detail: a.Bypass}
}

// MayStore reports whether the request allows its response to be stored (RFC 9111 §3, §5.2.1.5).
func (a *Request) MayStore() bool {
	return (a.Bypass == "" || a.Bypass == methodBypass) && a.Mode != ModeReadOnly && a.Mode != ModeDisabled && a.Mode != modeNoStore && !a.Directives.NoStore
}

// UnsafeBypass is the reason of a request that the user calls unsafe, though its method could be answered from the store.
const UnsafeBypass = "unsafe"
