package stream

import "sync/atomic"

// Budget is how many bytes all copies may take together that are on their way to the store. It is safe for concurrent use.
type Budget struct {
	// Not changed once copies are made.
	Limit int64
	Taken atomic.Int64
}

// take takes n bytes if they are left. A negative n gives bytes back.
func (b *Budget) take(n int64) bool {
	// Copies of many bodies come here at the same moment. The compare-and-swap makes the check and the addition one step, so together they never exceed Limit.
	for {
		taken := b.Taken.Load()
		if n > 0 && taken > b.Limit-n {
			return false
		}
		if b.Taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

// Has reports whether n bytes are left at this moment.
func (b *Budget) Has(n int64) bool { return b.Taken.Load() <= b.Limit-n }

// give never fails, so it is an addition without a check.
func (b *Budget) give(n int64) { b.Taken.Add(-n) }

// Claim is what one copy has of the budget. Releasing it twice gives nothing back twice.
type Claim struct {
	Budget *Budget
	// Atomic, because release also comes from a cleanup (NewRecorder), on a goroutine of the runtime.
	bytes atomic.Int64
}

// raise changes the claim to so many bytes, if they are left. It is not called concurrently. After a release it claims anew (FanOut.slide).
func (c *Claim) raise(to int64) bool {
	if !c.Budget.take(to - c.bytes.Load()) {
		return false
	}
	c.bytes.Store(to)
	return true
}

// The swap hands the bytes to exactly one of the callers.
func (c *Claim) release() { c.Budget.give(c.bytes.Swap(0)) }
