package cache

import (
	"sync/atomic"
	"time"
)

// said has members of Cache-Status that were written twice in a row: of what an origin answers, a program sees little that is different.
// A member that finds its place taken takes it. The zero value is ready for use, by any number of goroutines.
type said [128]struct {
	last atomic.Int64 // a hash of what was last written
	kept atomic.Pointer[saying]
}

// maxSaid bounds the details and reasons that are kept: those of a strategy's errors may be as long as they like.
const maxSaid = 256

// A saying doesn't change.
type saying struct {
	of     Status
	reason string // why the response is not stored, or ""

	status Status // of, with the reason
	member string
}

// of returns s with the reason for which its response is not stored, if there is one, and the member that says so.
func (t *said) of(s Status, reason string) (Status, string) {
	if len(s.Detail)+len(reason) <= maxSaid {
		hash := 1 + int64(len(s.Detail)+7*len(reason)+31*len(s.Fwd)+s.FwdStatus) + 1021*int64(s.TTL/time.Second)
		place := &t[uint64(hash)%uint64(len(t))]
		if known := place.kept.Load(); known != nil && known.of == s && known.reason == reason {
			return known.status, known.member
		}
		if place.last.Swap(hash) == hash {
			made := newSaying(s, reason)
			place.kept.Store(&made)
			return made.status, made.member
		}
	}
	made := newSaying(s, reason)
	return made.status, made.member
}

func newSaying(s Status, reason string) saying {
	made := saying{of: s, reason: reason, status: s}
	if reason != "" {
		made.status.Detail = joined(s.Detail, "not stored: "+reason)
	}
	made.member = made.status.String()
	return made
}
