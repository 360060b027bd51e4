package cache

import (
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/field"
)

// ask is what a request asks of the cache.
type ask struct {
	head       bool
	mode       Mode
	directives field.Request
	pragma     bool // Pragma: no-cache, with no Cache-Control beside it (RFC 9111 §5.4)

	noneMatch, modifiedSince []string // If-None-Match, If-Modified-Since
	ranges, ifRange          []string // Range, If-Range
	ranged                   bool     // rng is to be obeyed
	rng                      byteRange
	precondition             bool // If-Match, If-Unmodified-Since: the origin's to evaluate (RFC 9111 §4.3.2)

	bypass   string // why the store is neither read nor written
	bypassAs Forward
}

// onlyStored tells that nothing may be asked of the origin.
func (a *ask) onlyStored() bool {
	return a.directives.OnlyIfCached || a.mode == OnlyIfCached || a.mode == Offline
}

// conditional tells that the caller holds a response and asks whether it is still good.
func (a *ask) conditional() bool {
	return len(a.noneMatch) > 0 || len(a.modifiedSince) > 0
}

// newAsk reads a request. Field names are compared without regard to case: a caller can fill the map by hand.
func newAsk(mode Mode, r *http.Request, p *posture) ask {
	a := ask{head: r.Method == http.MethodHead, mode: mode}
	var control, pragma []string
	for name, values := range r.Header {
		switch {
		case !isQuestion[len(name)%len(isQuestion)]:
		case field.EqualFold(name, "Cache-Control"):
			control = append(control, values...)
		case field.EqualFold(name, "Pragma"):
			pragma = append(pragma, values...)
		default:
			a.read(name, values)
		}
	}
	if len(control) > 0 {
		a.directives = field.ParseRequest(control)
	}
	a.pragma = len(pragma) > 0 && !a.directives.Present && saysNoCache(pragma)
	a.classify(r, p)
	return a
}

// isQuestion tells which lengths the names of fields have that the cache reads. Most fields of a request are none of them.
var isQuestion = [20]bool{
	len("Range"): true, len("Pragma"): true, len("If-Range"): true /* If-Match */, len("Cache-Control"): true, /* If-None-Match */
	len("If-Modified-Since"): true, len("If-Unmodified-Since"): true,
}

// read takes in a condition or a range.
func (a *ask) read(name string, values []string) {
	switch {
	case field.EqualFold(name, "If-None-Match"):
		a.noneMatch = append(a.noneMatch, values...)
	case field.EqualFold(name, "If-Modified-Since"):
		a.modifiedSince = append(a.modifiedSince, values...)
	case field.EqualFold(name, "Range"):
		a.ranges = append(a.ranges, values...)
	case field.EqualFold(name, "If-Range"):
		a.ifRange = append(a.ifRange, values...)
	case field.EqualFold(name, "If-Match"), field.EqualFold(name, "If-Unmodified-Since"):
		a.precondition = true
	}
}

// classify finds what keeps a request away from the store.
func (a *ask) classify(r *http.Request, p *posture) {
	switch {
	case !p.answers(r.Method):
		a.keepOut(methodBypass, ForwardMethod)
	case a.mode == disabled:
		a.keepOut("disabled", ForwardBypass)
	case a.mode == NoStore:
		a.keepOut("mode no-store", ForwardBypass)
	case a.directives.NoStore:
		a.keepOut("request no-store", ForwardRequest)
	case r.Body != nil && r.Body != http.NoBody && (r.Method == "" || r.Method == http.MethodGet || a.head):
		a.keepOut("request has content", ForwardBypass)
	case a.precondition:
		a.keepOut("precondition for the origin", ForwardBypass)
	case len(a.ranges) > 0 && r.Method != http.MethodHead && !a.parseRange():
		a.keepOut("a range that the origin has to answer", ForwardBypass)
	case upgrades(r.Header):
		a.keepOut("upgrade", ForwardBypass)
	}
}

// methodBypass is the reason for which requests with other methods keep out of the store: they cannot be answered from it, but may fill it.
const methodBypass = "method"

func (a *ask) keepOut(why string, as Forward) {
	a.bypass, a.bypassAs = why, as
}

// switchedOff is the reason for which requests keep out of the store while there is none.
const switchedOff = "switched off"

// absent tells that the request is one that there is no cache for: nobody is here to refuse it.
func (a *ask) absent() bool {
	return a.bypass == methodBypass || a.bypass == switchedOff || a.mode == disabled || a.mode == NoStore
}

// bypassed is the decision for a request that keeps out of the store.
// If only the store was allowed, one that it cannot answer is refused (RFC 9111 §5.2.1.7).
func (a *ask) bypassed() decision {
	if a.onlyStored() && !a.absent() {
		return decision{action: refuse, detail: "only-if-cached, " + a.bypass}
	}
	return decision{action: fetch, fwd: a.bypassAs, detail: a.bypass}
}

// mayStore tells whether the answer may be stored, as far as the request is concerned (RFC 9111 §3, §5.2.1.5).
func (a *ask) mayStore() bool {
	return (a.bypass == "" || a.bypass == methodBypass) && a.mode != ReadOnly && a.mode != disabled && a.mode != NoStore && !a.directives.NoStore
}

func (a *ask) parseRange() bool {
	a.rng, a.ranged = parseRange(a.ranges)
	return a.ranged
}

// methodQuery is the safe method with content (RFC 10008).
const methodQuery = "QUERY"

// answers tells which methods can be answered from the store (RFC 9110 §9.2.3, RFC 10008 §2.7).
func (p *posture) answers(method string) bool {
	if method == "" {
		method = http.MethodGet
	}
	if p.methods != nil {
		return slices.Contains(p.methods, method)
	}
	return method == http.MethodGet || method == http.MethodHead || method == methodQuery
}

// allowsStatus tells whether the user lets responses with a status be stored and served.
func (p *posture) allowsStatus(status int) bool {
	return p.statuses == nil || slices.Contains(p.statuses, status)
}

// upgrades tells whether a request asks to leave HTTP (RFC 9110 §7.8).
func upgrades(h http.Header) bool {
	return len(h["Upgrade"]) > 0
}

func saysNoCache(pragma []string) bool {
	found := false
	field.Directives(pragma, func(d field.Directive) { found = found || d.Name == "no-cache" })
	return found
}
