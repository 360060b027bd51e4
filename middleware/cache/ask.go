package cache

import (
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
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
	upgrade                  bool // the request asks to leave HTTP (RFC 9110 §7.8)
	credentials              bool // the request has credentials; see package credential
	override                 bool // the request names another method than its own
	plain                    bool // neither the header nor a mode asks anything of the cache

	path      connection.Path // what the answer comes over
	principal string          // see WithPrincipal
	traced    bool            // someone wants to hear of this request

	bypass   string // why the store is neither read nor written
	bypassAs Forward
}

// onlyStored tells that nothing may be asked of the origin.
func (a *ask) onlyStored() bool {
	return a.directives.OnlyIfCached || a.mode == ModeOnlyIfCached
}

// conditional tells that the caller holds a response and asks whether it is still good.
func (a *ask) conditional() bool {
	return len(a.noneMatch) > 0 || len(a.modifiedSince) > 0
}

// newAsk reads a request.
func newAsk(mode Mode, r *http.Request, p *posture) ask {
	var a ask
	a.read(mode, r, p)
	return a
}

// read reads a request, in one pass over its header.
func (a *ask) read(mode Mode, r *http.Request, p *posture) {
	a.head, a.mode = r.Method == http.MethodHead, mode
	a.plain = mode == ModeDefault
	a.credentials = r.URL != nil && r.URL.User != nil
	var control, pragma []string
	for name, values := range r.Header {
		what := question(name)
		if what == nothing {
			continue
		}
		if what == credentials {
			a.credentials = true
			continue
		}
		a.plain = false
		switch what {
		case cacheControl:
			control = joinedLines(control, values)
		case pragmaField:
			pragma = joinedLines(pragma, values)
		case ifNoneMatch:
			a.noneMatch = joinedLines(a.noneMatch, values)
		case ifModifiedSince:
			a.modifiedSince = joinedLines(a.modifiedSince, values)
		case rangeField:
			a.ranges = joinedLines(a.ranges, values)
		case ifRange:
			a.ifRange = joinedLines(a.ifRange, values)
		case precondition:
			a.precondition = true
		case methodOverride:
			a.override = true
		case upgrade:
			a.upgrade = a.upgrade || len(values) > 0
		}
	}
	if len(control) > 0 {
		a.directives = field.ParseRequest(control)
	}
	a.pragma = len(pragma) > 0 && !a.directives.Present && saysNoCache(pragma)
	a.classify(r, p)
}

// joinedLines returns the lines of a field that stands in the header under several spellings. Neither slice is written to.
func joinedLines(lines, more []string) []string {
	if lines == nil {
		return more
	}
	return append(lines[:len(lines):len(lines)], more...)
}

// The request fields that the cache reads.
const (
	nothing = iota
	cacheControl
	pragmaField
	ifNoneMatch
	ifModifiedSince
	rangeField
	ifRange
	precondition // If-Match, If-Unmodified-Since
	upgrade
	methodOverride // X-HTTP-Method-Override and the like
	credentials    // Authorization, Cookie, and what else package credential knows
)

// question says what a field of a request is to the cache. Names are compared without regard to case: a caller can fill the map by hand.
// Most fields are known by their length alone.
func question(name string) int {
	candidate, is := "", nothing
	switch len(name) {
	case len("Range"):
		candidate, is = "Range", rangeField
	case len("Cookie"): // and Pragma
		if candidate, is = "Cookie", credentials; name[0]|0x20 == 'p' {
			candidate, is = "Pragma", pragmaField
		}
	case len("Upgrade"):
		candidate, is = "Upgrade", upgrade
	case len("If-Range"): // and If-Match
		if candidate, is = "If-Range", ifRange; name[3]|0x20 == 'm' {
			candidate, is = "If-Match", precondition
		}
	case len("Cache-Control"): // and If-None-Match, Authorization, X-HTTP-Method
		switch candidate, is = "Cache-Control", cacheControl; name[0] | 0x20 {
		case 'i':
			candidate, is = "If-None-Match", ifNoneMatch
		case 'a':
			candidate, is = "Authorization", credentials
		case 'x':
			candidate, is = "X-HTTP-Method", methodOverride
		}
	case len("X-Tunnel-Method"):
		candidate, is = "X-Tunnel-Method", methodOverride
	case len("If-Modified-Since"): // and X-Method-Override
		if candidate, is = "If-Modified-Since", ifModifiedSince; name[0]|0x20 == 'x' {
			candidate, is = "X-Method-Override", methodOverride
		}
	case len("If-Unmodified-Since"):
		candidate, is = "If-Unmodified-Since", precondition
	case len("X-HTTP-Method-Override"):
		candidate, is = "X-HTTP-Method-Override", methodOverride
	}
	switch {
	case is != nothing && field.EqualFold(name, candidate):
		return is
	case credential.Named(name):
		return credentials
	}
	return nothing
}

// overridesSafely reports whether all methods that a request names in place of its own are safe.
func overridesSafely(h http.Header) bool {
	for name, values := range h {
		if question(name) == methodOverride && slices.ContainsFunc(values, func(method string) bool { return !safe(strings.ToUpper(field.TrimOWS(method))) }) {
			return false
		}
	}
	return true
}

// classify finds what keeps a request away from the store.
func (a *ask) classify(r *http.Request, p *posture) {
	switch {
	case a.override:
		a.keepOut(overrideBypass, ForwardMethod)
	case !p.answers(r.Method):
		a.keepOut(methodBypass, ForwardMethod)
	case a.mode == modeDisabled:
		a.keepOut("disabled", ForwardBypass)
	case a.mode == ModeNoStore:
		a.keepOut("mode no-store", ForwardBypass)
	case a.directives.NoStore:
		a.keepOut("request no-store", ForwardBypass)
	case r.Body != nil && r.Body != http.NoBody && (r.Method == "" || r.Method == http.MethodGet || a.head):
		a.keepOut("request has content", ForwardBypass)
	case a.precondition:
		a.keepOut("precondition for the origin", ForwardBypass)
	case len(a.ranges) > 0 && r.Method != http.MethodHead && !a.parseRange():
		a.keepOut("a range that the origin has to answer", ForwardBypass)
	case a.upgrade:
		a.keepOut("upgrade", ForwardBypass)
	}
}

// methodBypass is the reason for which requests with other methods keep out of the store: they cannot be answered from it, but may fill it.
const methodBypass = "method"

// overrideBypass is the reason for which requests keep out of the store that name another method than their own, by X-HTTP-Method-Override for one:
// servers take them for that.
const overrideBypass = "method override"

func (a *ask) keepOut(why string, as Forward) {
	a.bypass, a.bypassAs = why, as
}

// switchedOff is the reason for which requests keep out of the store while there is none.
const switchedOff = "switched off"

// absent tells that the request is one that there is no cache for: nobody is here to refuse it.
func (a *ask) absent() bool {
	return a.bypass == methodBypass || a.bypass == unsafeBypass || a.bypass == overrideBypass || a.bypass == switchedOff || a.mode == modeDisabled || a.mode == ModeNoStore
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
	return (a.bypass == "" || a.bypass == methodBypass) && a.mode != ModeReadOnly && a.mode != modeDisabled && a.mode != ModeNoStore && !a.directives.NoStore
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

func saysNoCache(pragma []string) bool {
	found := false
	field.Directives(pragma, func(d field.Directive) { found = found || d.Name == "no-cache" })
	return found
}
