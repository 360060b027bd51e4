package cache

import (
	"io"
	"sync/atomic"
)

// draft is the copy of a body in the making. It is handed over once the body is provably complete: after a clean end,
// or after as many bytes as were declared. It takes its room out of a budget that all copies in flight share.
type draft struct {
	body     []byte
	length   int64 // declared, or -1
	limit    int64
	excess   string // why a body beyond the limit is not stored
	trailers bool   // trailers are announced: they come with the end, not with the last byte
	settled  bool   // complete, or dropped: nothing more is copied

	spiller func() *spill // begins to move the copy into a store; nil if it stays in memory
	spill   *spill        // where it goes, once it has become large; then it is settled as far as memory is concerned
	moving  bool          // it goes there, and its outcome is not certain

	claim *claim
}

// maxPrealloc bounds what a declared length may allocate in advance.
const maxPrealloc = 1 << 20

// outcome is what became of a copy: it goes on if complete is false and reason empty.
type outcome struct {
	complete bool
	body     []byte
	stored   *pieces // in place of body
	reason   string  // why it was dropped
}

// judge says what becomes of a copy that has size bytes now that a read has returned err.
func (d *draft) judge(size int64, err error) outcome {
	switch {
	case err != nil && err != io.EOF:
		return outcome{reason: "the body broke off"}
	case d.length >= 0 && size > d.length:
		return outcome{reason: "the body is longer than declared"}
	case size > d.limit:
		return outcome{reason: d.excess}
	case d.length >= 0 && size == d.length && (err == io.EOF || !d.trailers), d.length < 0 && err == io.EOF:
		return outcome{complete: true}
	case err == io.EOF:
		return outcome{reason: "the body is shorter than declared"}
	}
	return outcome{}
}

// content is the body of a complete copy.
func (o *outcome) content() content { return content{bytes: o.body, stored: o.stored} }

// overBudget is the reason for which a copy is dropped while too many others are in flight.
const overBudget = "the copies in flight exceed MaxInFlightBytes"

// add copies what was read.
func (d *draft) add(p []byte, err error) outcome {
	if d.settled {
		return outcome{}
	}
	o := d.judge(int64(len(d.body)+len(p)), err)
	if o.reason == "" && !d.grow(len(d.body)+len(p)) {
		o = outcome{reason: overBudget}
	}
	if o.reason == "" {
		d.body = append(d.body, p...)
	}
	return d.settle(o)
}

// extend takes n bytes that were read into the room behind the body.
func (d *draft) extend(n int, err error) outcome {
	d.body = d.body[:len(d.body)+n]
	return d.settle(d.judge(int64(len(d.body)), err))
}

// settle ends the copy if its outcome is certain.
func (d *draft) settle(o outcome) outcome {
	switch {
	case o.complete:
		d.settled = true
		o.body = trimmed(d.body)
	case o.reason != "":
		d.settled = true
	default:
		return o
	}
	d.claim.release()
	return o
}

// trimmed returns a body without room behind it that would stay as long as the entry does.
func trimmed(body []byte) []byte {
	if spare := cap(body) - len(body); spare > 64 && spare > len(body)/8 {
		return append(make([]byte, 0, len(body)), body...)
	}
	return body[:len(body):len(body)]
}

// grow makes room for a body of so many bytes, and for no more in the end than were declared or may be stored.
// It is false if the budget does not allow it.
func (d *draft) grow(need int) bool {
	if need <= cap(d.body) {
		return true
	}
	most := d.limit + 1 // one more than may be stored shows that there is more
	if d.length >= 0 {
		most = d.length
	}
	room := max(int64(need), min(max(2*int64(cap(d.body)), min(d.length, maxPrealloc)), most))
	if !d.claim.raise(room) {
		return false
	}
	d.body = append(make([]byte, 0, room), d.body...)
	return true
}

// direct returns the room behind the body, if it is worth a read of its own. The last byte that was declared is not read into it:
// read into something larger, it shows whether there is more than was declared.
func (d *draft) direct(worth int) []byte {
	if d.length >= 0 {
		left := d.length - int64(len(d.body)) - 1
		if left < int64(worth) || !d.grow(len(d.body)+worth) {
			return nil
		}
		return d.body[len(d.body):min(int64(cap(d.body)), d.length-1)]
	}
	if len(d.body) < worth || d.limit-int64(len(d.body)) < int64(worth) || !d.grow(len(d.body)+worth) {
		return nil
	}
	return d.body[len(d.body):cap(d.body)]
}

// budget is what all copies in flight may take together, in bytes.
type budget struct {
	limit int64
	taken atomic.Int64
}

// take takes n bytes if they are there.
func (b *budget) take(n int64) bool {
	for {
		taken := b.taken.Load()
		if n > 0 && taken > b.limit-n {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

// has tells whether n bytes are there at this moment.
func (b *budget) has(n int64) bool { return b.taken.Load() <= b.limit-n }

func (b *budget) give(n int64) { b.taken.Add(-n) }

// claim is what one copy has of the budget.
type claim struct {
	budget *budget
	bytes  atomic.Int64
}

// raise makes the claim one for so many bytes, if they are there. It is not called concurrently.
func (c *claim) raise(to int64) bool {
	if !c.budget.take(to - c.bytes.Load()) {
		return false
	}
	c.bytes.Store(to)
	return true
}

func (c *claim) release() { c.budget.give(c.bytes.Swap(0)) }
