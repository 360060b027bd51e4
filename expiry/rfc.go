package expiry

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// Default returns the strategy that follows the server: s-maxage in a shared cache, max-age, Expires,
// and else a heuristic, ten percent of the time since the last modification and one week at most (RFC 9111 §4.2.1, §4.2.2).
func Default() Strategy {
	return strategyFunc(func(x Exchange) Verdict {
		lifetime, explicit := Explicit(x)
		if !explicit {
			lifetime = heuristic(x)
		}
		return Verdict{kind: standard, lifetime: lifetime}
	})
}

// Explicit returns the freshness lifetime that the server gave the response, and whether it gave one (RFC 9111 §4.2.1).
// What cannot be read is a lifetime of zero.
func Explicit(x Exchange) (time.Duration, bool) {
	d, targeted := field.Controlling(x.Response.Header, x.Targeted)
	switch {
	case x.Shared && d.SMaxAge.Set:
		return d.SMaxAge.Value, true
	case d.MaxAge.Set:
		return d.MaxAge.Value, true
	case targeted: // then Expires does not count (RFC 9213 §2.2)
		return 0, false
	}
	lines := x.Response.Header["Expires"]
	if len(lines) == 0 {
		return 0, false
	}
	expires, ok := field.DateField(lines, x.Now)
	if !ok {
		return 0, true // invalid dates are in the past (RFC 9111 §5.3)
	}
	return clamp(expires.Sub(generated(x))), true
}

// heuristicLimit bounds what is only guessed.
const heuristicLimit = 7 * 24 * time.Hour

// heuristic guesses a lifetime from Last-Modified (RFC 9111 §4.2.2), for responses that are cacheable by default or marked public.
func heuristic(x Exchange) time.Duration {
	if !HeuristicStatus(x.Response.StatusCode) && !public(x) {
		return 0
	}
	modified, ok := field.DateField(x.Response.Header["Last-Modified"], x.Now)
	if !ok {
		return 0
	}
	return min(clamp(generated(x).Sub(modified))/10, heuristicLimit)
}

func public(x Exchange) bool {
	d, _ := field.Controlling(x.Response.Header, x.Targeted)
	return d.Public
}

// generated is the origin's Date, or the time of receipt (RFC 9110 §6.6.1).
func generated(x Exchange) time.Time {
	if date, ok := field.DateField(x.Response.Header["Date"], x.Now); ok {
		return date
	}
	return x.Now
}

func clamp(d time.Duration) time.Duration {
	return min(max(d, 0), forever)
}

// HeuristicStatus tells whether a status is cacheable by default, without the server's word (RFC 9110 §15.1).
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
