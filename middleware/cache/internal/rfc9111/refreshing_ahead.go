package rfc9111

import (
	"math"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// DueAhead reports whether a request that is answered with a fresh response has it refreshed in the background, before it expires.
// chance is a random number from the exponential distribution with a mean of 1: with a probability of exp(-x) it is above x. So by XFetch's rule, the probability is exp(-left/(fetch·beta)).
//
// A request that wants nothing from the origin refreshes nothing (§5.2.1.7), nor does one whose answer would not be kept.
// A part is left to those who ask for the whole. The time that is left counts from the receipt: a lifetime that slides would never come to its end.
func DueAhead(a *Request, e *stored.Entry, chance float64, now time.Time) bool {
	if a.onlyStored() || a.Mode != modeDefault || e.Part != nil {
		return false
	}
	left := e.Rules.Lifetime - e.Age(now)
	early := float64(e.Received.Sub(e.Requested)) * e.Rules.XFetch * chance
	return left <= e.Rules.RefreshWithin || e.Rules.XFetch > 0 && float64(left) <= early
}

// AheadProbability is the probability with which DueAhead is true of a random chance.
func AheadProbability(a *Request, e *stored.Entry, now time.Time) float64 {
	left, scale := e.Rules.Lifetime-e.Age(now), float64(e.Received.Sub(e.Requested))*e.Rules.XFetch
	switch {
	case DueAhead(a, e, 0, now):
		return 1
	case scale <= 0 || !DueAhead(a, e, math.MaxFloat64, now):
		return 0
	}
	return math.Exp(-float64(left) / scale)
}
