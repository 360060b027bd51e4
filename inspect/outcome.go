package inspect

import (
	"github.com/plyhttp/ply/internal/cachestatus"
)

// seen is what the outcome of a hop depends on.
type seen struct {
	answered bool
	err      error // of the exchange, or of reading its body
	cached   bool  // a ply cache took part, and cache is what it says
	cache    cachestatus.Status
}

// Outcomes that no cache has a word for; the others are those of cache.Status.Outcome.
const (
	outcomePending   = "pending"   // there is no response yet
	outcomeError     = "error"     // there is none, or its body broke off
	outcomeDirect    = "direct"    // no ply cache took part
	outcomeCollapsed = "collapsed" // answered by the exchange of another request
)

// outcome is the one word for a hop.
func outcome(s seen) string {
	switch {
	case s.err != nil:
		return outcomeError
	case !s.answered:
		return outcomePending
	case !s.cached:
		return outcomeDirect
	case s.cache.Collapsed:
		return outcomeCollapsed
	}
	return s.cache.Word()
}
