// Package freshness computes freshness lifetimes by the rules of RFC 9111 §4.2. Package expiry and the cache share it.
package freshness

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// Forever is the longest lifetime that a cache counts (RFC 9111 §1.2.2).
const Forever = field.MaxDelta * time.Second

// heuristicLimit bounds a heuristic lifetime.
const heuristicLimit = 7 * 24 * time.Hour

// A Response is what a cache knows of a response when it computes its lifetime.
type Response struct {
	Status   int
	Header   http.Header
	Received time.Time
	Shared   bool     // the cache is shared (RFC 9111 §1.2.2)
	Targeted []string // fields obeyed before Cache-Control (RFC 9213)
}

// Lifetime is what the server said of a response's lifetime.
type Lifetime struct {
	// Explicit says that the server gave the response a lifetime (RFC 9111 §4.2.1).
	Explicit bool

	// Restricted says that the server forbids the response to be stored, or to be used without validation, whatever its lifetime is:
	// by no-store, no-cache, Pragma, or private in a shared cache (RFC 9111 §5.2.2, §5.4).
	Restricted bool

	// Heuristic says that Value was computed from Last-Modified (RFC 9111 §4.2.2).
	Heuristic bool

	// From names what the lifetime comes from: "s-maxage", "max-age", "Expires" or "Last-Modified". It is empty without one.
	From string

	// Value is the freshness lifetime, from zero to [Forever]. A lifetime that cannot be read is zero.
	Value time.Duration
}

// Of returns the lifetime of r: the explicit one, else the heuristic one, else none.
func Of(r Response) Lifetime {
	d, targeted := field.Controlling(r.Header, r.Targeted)
	l := Lifetime{Restricted: d.NoStore || d.NoCache || d.Private && r.Shared || !d.Present && field.PragmaNoCache(r.Header["Pragma"])}
	l.Value, l.From = r.explicit(&d, targeted)
	l.Explicit = l.From != ""
	if !l.Explicit && (d.Public || HeuristicStatus(r.Status)) {
		if l.Value, l.Heuristic = r.heuristic(); l.Heuristic {
			l.From = "Last-Modified"
		}
	}
	return l
}

// explicit is the lifetime that the server gave, and what it gave it by (RFC 9111 §4.2.1).
func (r Response) explicit(d *field.Response, targeted bool) (lifetime time.Duration, from string) {
	switch {
	case r.Shared && d.SMaxAge.Set:
		return d.SMaxAge.Value, "s-maxage"
	case d.MaxAge.Set:
		return d.MaxAge.Value, "max-age"
	case targeted: // Expires does not count then (RFC 9213 §2.2)
		return 0, ""
	}
	lines := r.Header["Expires"]
	if len(lines) == 0 {
		return 0, ""
	}
	expires, ok := field.DateField(lines, r.Received)
	if !ok {
		return 0, "Expires" // an invalid date is in the past (RFC 9111 §5.3)
	}
	return Clamp(expires.Sub(r.generated())), "Expires"
}

// heuristic is a tenth of the time since the last modification, one week at most (RFC 9111 §4.2.2).
func (r Response) heuristic() (time.Duration, bool) {
	modified, ok := field.DateField(r.Header["Last-Modified"], r.Received)
	if !ok {
		return 0, false
	}
	return min(Clamp(r.generated().Sub(modified))/10, heuristicLimit), true
}

// generated is the origin's Date, or the time of receipt (RFC 9110 §6.6.1).
func (r Response) generated() time.Time {
	if date, ok := field.DateField(r.Header["Date"], r.Received); ok {
		return date
	}
	return r.Received
}

// Clamp returns d, at least zero and at most [Forever].
func Clamp(d time.Duration) time.Duration {
	return min(max(d, 0), Forever)
}

// HeuristicStatus reports whether a status is cacheable by default: without a lifetime that the server gave (RFC 9110 §15.1).
func HeuristicStatus(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusPartialContent,
		http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusPermanentRedirect,
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
		http.StatusRequestURITooLong, http.StatusNotImplemented:
		return true
	}
	return false
}
