package rfc9111

import (
	"errors"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// OnError reports whether a stored response may be served in place of a failed exchange, and why (RFC 5861 §4, RFC 9111 §4.2.4).
// Unreachable means that there was no response at all; otherwise the response was a server error.
// The conditions stand in the order in which they count.
// Over 15 branches on purpose: apart, the order of the conditions would be hidden.
func OnError(a *Request, e *stored.Entry, unreachable bool, p *Policy, now time.Time) (string, bool) {
	if e == nil || e.Part != nil || !e.Rules.MayServeStale() || a.Directives.NoCache || a.Pragma || a.Mode == ModeReload || a.Mode == ModeNoCache {
		return "", false
	}
	staleness := -e.FreshFor(now)
	if a.Directives.MinFresh.Set && -staleness < a.Directives.MinFresh.Value {
		return "", false
	}
	switch {
	case staleness < 0 && !a.Directives.MaxAge.Set: // fresh is a lifetime that is greater than the age (§4.2)
		return "fresh", true
	case e.Rules.StaleIfError > 0 && staleness <= e.Rules.StaleIfError:
		return "stale-if-error", true
	case a.Directives.StaleIfError.Set && staleness <= a.Directives.StaleIfError.Value:
		return "request stale-if-error", true
	case unreachable && p.Disconnected > 0 && staleness <= p.Disconnected:
		return "origin unreachable", true
	}
	return "", false
}

// Unreachable reports whether an error means that the origin could not be reached or did not answer (RFC 5861 §4).
// An error can say so itself, with a method OriginUnavailable() bool; any other error counts as a broken connection.
func Unreachable(err error) bool {
	var typed interface{ OriginUnavailable() bool }
	if errors.As(err, &typed) {
		return typed.OriginUnavailable()
	}
	return true
}
