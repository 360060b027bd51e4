package rfc9111

import (
	"net/http"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
)

// Request is what a request asks of the cache.
type Request struct {
	Head       bool
	Mode       Mode
	Pragma     bool // Pragma: no-cache, with no Cache-Control beside it (RFC 9111 §5.4)
	Directives field.Request

	noneMatch, modifiedSince []string // If-None-Match, If-Modified-Since
	Ranges, ifRange          []string // Range, If-Range
	rng                      byteRange
	ranged                   bool // rng holds the range that is asked for
	precondition             bool // If-Match, If-Unmodified-Since: the origin's to evaluate (RFC 9111 §4.3.2)
	upgrade                  bool // the request asks to leave HTTP (RFC 9110 §7.8)
	resumesStream            bool // the request takes up an event stream (HTML §9.2.4, Last-Event-ID)
	Credentials              bool // the request has credentials; see package credential
	CookieKeyed              bool // its one line of Cookie is in its key: what is found under that was stored for a request with the same line
	Override                 bool // the request names another method than its own
	plain                    bool // neither the header nor a mode asks anything of the cache

	Path      connection.Path // what the response comes over
	Principal string          // see WithPrincipal
	Named     bool            // the principal has been named
	Traced    bool            // the context has a Trace

	Bypass    string // why the store is neither read nor written, or empty
	bypassFwd string
}

// onlyStored reports whether the request must not be forwarded (RFC 9111 §5.2.1.7).
func (a *Request) onlyStored() bool {
	return a.Directives.OnlyIfCached || a.Mode == modeOnlyIfCached
}

// Conditional reports whether the request is conditional on a response that the caller holds (RFC 9110 §13.1.2, §13.1.3).
func (a *Request) Conditional() bool {
	return len(a.noneMatch) > 0 || len(a.modifiedSince) > 0
}

// ReadRequest reads a request.
func ReadRequest(m Mode, r *http.Request, p *Policy) Request {
	var a Request
	a.Read(m, r, p)
	return a
}

// Read reads a request, in one pass over its header.
// Over 15 branches on purpose: it is a table of fields, written as a switch because each request goes through it.
func (a *Request) Read(m Mode, r *http.Request, p *Policy) {
	a.Head, a.Mode = r.Method == http.MethodHead, m
	a.plain = m == modeDefault
	a.Credentials = r.URL != nil && r.URL.User != nil
	var control, pragma []string
	for name, values := range r.Header {
		what := classifyField(name)
		if what == nothing {
			continue
		}
		if what == credentials {
			a.Credentials = true
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
			a.Ranges = joinedLines(a.Ranges, values)
		case ifRange:
			a.ifRange = joinedLines(a.ifRange, values)
		case precondition:
			a.precondition = true
		case methodOverride:
			a.Override = true
		case upgrade:
			a.upgrade = a.upgrade || len(values) > 0
		case lastEventID:
			a.resumesStream = a.resumesStream || len(values) > 0
		}
	}
	if len(control) > 0 {
		a.Directives = field.ParseRequest(control)
	}
	a.Pragma = !a.Directives.Present && field.PragmaNoCache(pragma)
	a.classify(r, p)
}

// joinedLines returns the lines of a field that is in the header under several spellings. It writes to neither slice.
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
	lastEventID
	methodOverride // X-HTTP-Method-Override and the like
	credentials    // Authorization, Cookie, and what else package credential knows
)

// classifyField says what a field of a request is to the cache. Names are compared without regard to case: a caller can fill the map by hand.
// Most fields are known by their length alone.
// Over 15 branches on purpose: it is a table, written as a switch on the length because each request goes through it.
func classifyField(name string) int {
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
	case len("Cache-Control"): // and If-None-Match, Authorization, X-HTTP-Method, Last-Event-ID
		switch candidate, is = "Cache-Control", cacheControl; name[0] | 0x20 {
		case 'i':
			candidate, is = "If-None-Match", ifNoneMatch
		case 'a':
			candidate, is = "Authorization", credentials
		case 'x':
			candidate, is = "X-HTTP-Method", methodOverride
		case 'l':
			candidate, is = "Last-Event-ID", lastEventID
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

func (a *Request) parseRange() bool {
	a.rng, a.ranged = parseRange(a.Ranges)
	return a.ranged
}
