package stored

import (
	"time"
)

// AnswersWaiters reports whether a response that was fetched for one request may answer others that were waiting for it. It need not be fresh any more:
// it is no older than a response of their own would be. But an origin that wants each use validated may look at more than the key has.
func (e *Entry) AnswersWaiters() bool { return e.Rules.Lifetime > 0 && !e.Rules.NoCache }

// FromFuture reports whether the clock has been set back since the response was received.
func (e *Entry) FromFuture(now time.Time) bool { return now.Add(clockBack).Before(e.Received) }

// SameAs reports whether two entries are the same stored response, though a store may have been read twice.
func (e *Entry) SameAs(other *Entry) bool {
	return e == other || e.SameVariant(other) && e.Received.Round(0).Equal(other.Received.Round(0)) && e.Body.Size() == other.Body.Size()
}

// FetchedSince reports whether e is another response than before, the one that was found earlier. Both may be nil.
func (e *Entry) FetchedSince(before *Entry) bool {
	return e != nil && (before == nil || !e.Received.Equal(before.Received))
}

// clockBack is how far the clock may have been set back before what is stored counts as stale.
const clockBack = 5 * time.Minute
