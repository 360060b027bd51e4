package stream

import (
	"io"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// BodyCopy is the copy of a body that is being read. It is handed over once the body is provably complete: after a clean end,
// or after as many bytes as were declared. It takes its room out of a budget that all copies share.
//
// It has no lock: Recorder and FanOut guard theirs with their own. Its outcome is reported once: add, extend and settle return it,
// and all later calls return the zero Outcome.
// The owner sets the exported fields before the first read. A settled copy never becomes unsettled again.
type BodyCopy struct {
	body     []byte
	Length   int64 // declared, or -1
	Limit    int64
	TooLarge string // why a body beyond the limit is not stored

	// Incomplete returns why a body that has ended in order is not whole all the same, or the empty string. Nil if its end is enough.
	Incomplete func() string

	OpenSink func() Sink // begins to move the copy into a store; nil if it stays in memory
	// Set once, by the owner, when needsSink says so. From then on only the goroutine that reads writes to it.
	sink Sink // where it goes, once it has become large; then it is settled as far as body is concerned

	// Released once the copy is settled, or by its owner. It must not be nil.
	Claim *Claim

	Trailers bool // trailers are announced: they come with the end, not with the last byte
	settled  bool // complete, or dropped, or moved to sink: nothing more is copied into body
	moving   bool // it goes to sink, and its outcome is not certain
}

// A Sink takes the copy of a large body while it is read, in place of memory. Only one goroutine at a time calls Write and Move; Abort may come from another one.
type Sink interface {
	// Write takes more bytes. It is false if they, or those before, could not be stored.
	Write(p []byte) bool

	// Move takes what a read has returned, and says what becomes of the copy. If it is dropped, what has been stored is removed.
	Move(d *BodyCopy, p []byte, err error) Outcome

	// Written is how many bytes have been taken.
	Written() int64

	// Fail has the next Move drop the copy.
	Fail()

	// Abort removes what has been stored. It does nothing once the copy is complete, or aborted.
	Abort()
}

// MaxPrealloc bounds what a declared length may allocate in advance.
const MaxPrealloc = 1 << 20

// Outcome is what became of a copy: it goes on if Complete is false and Reason empty.
type Outcome struct {
	Complete bool
	Body     []byte
	Stored   *stored.Chunks // in place of Body
	Reason   string         // why it was dropped
}

// Judge says what becomes of a copy that has size bytes now that a read has returned err.
func (d *BodyCopy) Judge(size int64, err error) Outcome {
	switch {
	case err != nil && err != io.EOF:
		return Outcome{Reason: "the body broke off"}
	case d.Length >= 0 && size > d.Length:
		return Outcome{Reason: "the body is longer than declared"}
	case size > d.Limit:
		return Outcome{Reason: d.TooLarge}
	case d.Length >= 0 && size == d.Length && (err == io.EOF || !d.Trailers), d.Length < 0 && err == io.EOF:
		return d.complete()
	case err == io.EOF:
		return Outcome{Reason: "the body is shorter than declared"}
	}
	return Outcome{}
}

// complete is the outcome at the end of the body.
func (d *BodyCopy) complete() Outcome {
	if d.Incomplete != nil {
		if why := d.Incomplete(); why != "" {
			return Outcome{Reason: why}
		}
	}
	return Outcome{Complete: true}
}

// Content is the body of a complete copy.
func (o *Outcome) Content() stored.Content { return stored.Content{Bytes: o.Body, Chunks: o.Stored} }

// OverBudget is the reason for which a copy is dropped while too many others are in flight.
const OverBudget = "the copies in flight exceed MaxInFlightBytes"

// add copies what was read, and returns the outcome if it is certain now.
// The caller holds the owner's lock. After the copy is settled it does nothing.
func (d *BodyCopy) add(p []byte, err error) Outcome {
	if d.settled {
		return Outcome{}
	}
	o := d.Judge(int64(len(d.body)+len(p)), err)
	if o.Reason == "" && !d.grow(len(d.body)+len(p)) {
		o = Outcome{Reason: OverBudget}
	}
	if o.Reason == "" {
		d.body = append(d.body, p...)
	}
	return d.settle(o)
}

// extend takes in n bytes that were read into the room behind the body; see roomFor.
// The caller holds the owner's lock, and has found the copy unsettled under it.
func (d *BodyCopy) extend(n int, err error) Outcome {
	d.body = d.body[:len(d.body)+n]
	return d.settle(d.Judge(int64(len(d.body)), err))
}

// settle ends the copy if its outcome is certain, and gives its room back to the budget.
// The caller holds the owner's lock. The caller passes the outcome on after it has given that back.
func (d *BodyCopy) settle(o Outcome) Outcome {
	switch {
	case o.Complete:
		d.settled = true
		o.Body = trimmed(d.body)
	case o.Reason != "":
		d.settled = true
	default:
		return o
	}
	d.Claim.release()
	return o
}

// trimmed returns a body without much room behind it: that would be held as long as the entry is stored.
func trimmed(body []byte) []byte {
	if spare := cap(body) - len(body); spare > 64 && spare > len(body)/8 {
		return append(make([]byte, 0, len(body)), body...)
	}
	return body[:len(body):len(body)]
}

// grow makes room for a body of need bytes, at least twice what there was. It is false if the budget does not allow it.
// It replaces the array and never writes into the old one, which readers of a fan-out may still look at.
func (d *BodyCopy) grow(need int) bool {
	if need <= cap(d.body) {
		return true
	}
	most := d.Limit + 1 // one more than may be stored shows that there is more
	if d.Length >= 0 {
		most = d.Length
	}
	least := max(int64(need), min(2*int64(cap(d.body)), most))
	room := max(least, min(d.trusted(need), most))
	if !d.Claim.raise(room) {
		if room = least; !d.Claim.raise(room) {
			return false
		}
	}
	d.body = append(make([]byte, 0, room), d.body...)
	return true
}

// trusted is how much room the declared length is good for, now that need bytes have come: MaxPrealloc at first, and all of it once more than that has come,
// unless it is out of proportion to that, which a length that is not true may well be. A copy that goes into a store as it grows needs no such room.
func (d *BodyCopy) trusted(need int) int64 {
	if d.OpenSink != nil || need <= MaxPrealloc {
		return min(d.Length, MaxPrealloc)
	}
	return min(d.Length, maxTrust*int64(need))
}

// maxTrust bounds the room for a declared length, in multiples of what has come.
const maxTrust = 64

// roomFor returns the room behind the body, if it is worth a read of its own. The last byte that was declared is not read into it:
// read into something larger, it shows whether there is more than was declared.
func (d *BodyCopy) roomFor(worth int) []byte {
	if d.Length >= 0 {
		left := d.Length - int64(len(d.body)) - 1
		if left < int64(worth) || !d.grow(len(d.body)+worth) {
			return nil
		}
		return d.body[len(d.body):min(int64(cap(d.body)), d.Length-1)]
	}
	if len(d.body) < worth || d.Limit-int64(len(d.body)) < int64(worth) || !d.grow(len(d.body)+worth) {
		return nil
	}
	return d.body[len(d.body):cap(d.body)]
}

// SinkAt is how large a copy becomes in memory before it goes into the store.
const SinkAt = 1 << 20

// ErrSlow is why a copy is dropped that the store does not take as fast as it is read.
const ErrSlow = "the store does not keep up with the body"

// needsSink reports whether the copy is to go into a store, now that n more bytes have come.
func (d *BodyCopy) needsSink(n int) bool {
	return d.OpenSink != nil && !d.settled && len(d.body)+n > SinkAt && int64(len(d.body)+n) <= d.Limit
}
