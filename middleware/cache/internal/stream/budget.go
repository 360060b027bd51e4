package stream

import "sync/atomic"

// Budget is how many bytes all copies may take together that are on their way to the store. It is safe for concurrent use.
type Budget struct {
	Limit int64
	Taken atomic.Int64
}

// take takes n bytes if they are left. A negative n gives bytes back.
func (b *Budget) take(n int64) bool {
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

func (b *Budget) give(n int64) { b.Taken.Add(-n) }

// Claim is what one copy has of the budget. Releasing it twice gives nothing back twice.
type Claim struct {
	Budget *Budget
	bytes  atomic.Int64
}

// raise changes the claim to so many bytes, if they are left. It is not called concurrently, and not after release.
func (c *Claim) raise(to int64) bool {
	if !c.Budget.take(to - c.bytes.Load()) {
		return false
	}
	c.bytes.Store(to)
	return true
}

func (c *Claim) release() { c.Budget.give(c.bytes.Swap(0)) }
