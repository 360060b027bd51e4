package cache

import (
	"context"
	"net/http"

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
func newAsk(ctx context.Context, r *http.Request) ask {
	a := ask{head: r.Method == http.MethodHead, mode: modeOf(ctx)}
	var control, pragma []string
	for name, values := range r.Header {
		switch len(name) {
		case len("Cache-Control"): // also If-None-Match
			if field.EqualFold(name, "Cache-Control") {
				control = append(control, values...)
			} else if field.EqualFold(name, "If-None-Match") {
				a.noneMatch = append(a.noneMatch, values...)
			}
		case len("Pragma"):
			if field.EqualFold(name, "Pragma") {
				pragma = append(pragma, values...)
			}
		case len("Range"):
			if field.EqualFold(name, "Range") {
				a.ranges = append(a.ranges, values...)
			}
		case len("If-Range"): // also If-Match
			if field.EqualFold(name, "If-Range") {
				a.ifRange = append(a.ifRange, values...)
			} else if field.EqualFold(name, "If-Match") {
				a.precondition = true
			}
		case len("If-Modified-Since"):
			if field.EqualFold(name, "If-Modified-Since") {
				a.modifiedSince = append(a.modifiedSince, values...)
			}
		case len("If-Unmodified-Since"):
			if field.EqualFold(name, "If-Unmodified-Since") {
				a.precondition = true
			}
		}
	}
	if len(control) > 0 {
		a.directives = field.ParseRequest(control)
	}
	a.pragma = len(pragma) > 0 && !a.directives.Present && saysNoCache(pragma)
	a.classify(r)
	return a
}

// classify finds what keeps a request away from the store.
func (a *ask) classify(r *http.Request) {
	switch {
	case !cacheable(r.Method):
		a.bypass, a.bypassAs = "method", ForwardMethod
	case a.mode == disabled:
		a.bypass, a.bypassAs = "disabled", ForwardBypass
	case a.mode == NoStore:
		a.bypass, a.bypassAs = "mode no-store", ForwardBypass
	case a.directives.NoStore:
		a.bypass, a.bypassAs = "request no-store", ForwardRequest
	case r.Body != nil && r.Body != http.NoBody && r.Method != methodQuery:
		a.bypass, a.bypassAs = "request has content", ForwardBypass
	case a.precondition:
		a.bypass, a.bypassAs = "precondition for the origin", ForwardBypass
	case len(a.ranges) > 0 && !a.head && !a.parseRange():
		a.bypass, a.bypassAs = "a range that the origin has to answer", ForwardBypass
	case upgrades(r.Header):
		a.bypass, a.bypassAs = "upgrade", ForwardBypass
	}
}

func (a *ask) parseRange() bool {
	a.rng, a.ranged = parseRange(a.ranges)
	return a.ranged
}

// methodQuery is the safe method with content (RFC 10008).
const methodQuery = "QUERY"

// cacheable tells which methods can be answered from the store (RFC 9110 §9.2.3, RFC 10008 §2.7).
func cacheable(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, methodQuery:
		return true
	}
	return false
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
