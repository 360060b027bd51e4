package stream

import "sync/atomic"

// Budget is what all copies in flight may take together, in bytes.
type Budget struct {
	Limit int64
	Taken atomic.Int64
}

// passOn takes n bytes if they are there.
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

// Has tells whether n bytes are there at this moment.
func (b *Budget) Has(n int64) bool { return b.Taken.Load() <= b.Limit-n }

func (b *Budget) give(n int64) { b.Taken.Add(-n) }

// Claim is what one copy has of the budget.
type Claim struct {
	Budget *Budget
	bytes  atomic.Int64
}

// raise makes the claim one for so many bytes, if they are there. It is not called concurrently.
func (c *Claim) raise(to int64) bool {
	if !c.Budget.take(to - c.bytes.Load()) {
		return false
	}
	c.bytes.Store(to)
	return true
}

func (c *Claim) release() { c.Budget.give(c.bytes.Swap(0)) }
