package stored

import (
	"time"
)

// AnswersWaiters tells whether what was fetched for one request may be the answer to others that were waiting for it at the time. It need not be fresh any more:
// it is no older than what they would have got by themselves. But an origin that wants each use validated may look at more than what the key is made of.
func (e *Entry) AnswersWaiters() bool { return e.Rules.Lifetime > 0 && !e.Rules.NoCache }

// FromFuture tells whether the clock has been set back since a response was received.
func (e *Entry) FromFuture(now time.Time) bool { return now.Add(clockBack).Before(e.Received) }

// SameAs tells whether two entries are one, though a store may have read it twice.
func (e *Entry) SameAs(other *Entry) bool {
	return e == other || e.SameVariant(other) && e.Received.Round(0).Equal(other.Received.Round(0)) && e.Body.Size() == other.Body.Size()
}

// FetchedSince tells whether a stored response is another one than that of before.
func (e *Entry) FetchedSince(before *Entry) bool {
	return e != nil && (before == nil || !e.Received.Equal(before.Received))
}

// clockBack is how far the clock may have been set back before what is stored counts as stale.
const clockBack = 5 * time.Minute
