package cache

import "sync/atomic"

// said has the members of Cache-Status that were last written for responses that are passed on and not stored. A program sees few different ones.
// A member that finds its place taken takes it. The zero value is ready for use, by any number of goroutines.
type said [128]atomic.Pointer[saying]

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
	if s.HasTTL || len(s.Detail)+len(reason) > maxSaid {
		made := newSaying(s, reason)
		return made.status, made.member
	}
	place := &t[uint(len(s.Detail)+7*len(reason)+31*len(s.Fwd)+s.FwdStatus)%uint(len(t))]
	known := place.Load()
	if known == nil || known.of != s || known.reason != reason {
		made := newSaying(s, reason)
		known = &made
		place.Store(known)
	}
	return known.status, known.member
}

func newSaying(s Status, reason string) saying {
	made := saying{of: s, reason: reason, status: s}
	if reason != "" {
		made.status.Detail = joined(s.Detail, "not stored: "+reason)
	}
	made.member = made.status.String()
	return made
}
