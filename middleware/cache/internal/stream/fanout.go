package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// FanOut is the body of one answer on its way to several readers, each at its own pace, and into a copy for the store.
//
// A reader that has used up what is there has more read, on a goroutine that lives as long as that one read: one that is canceled does not wait for the origin.
// Only a small body is read ahead, in one go: by the goroutine of the first read, or by that of the exchange (ReadAhead), which has brought the header.
// Of any other, a reader that does not read costs no goroutine. At most one goroutine reads, for reading is zero if none does:
//
//	reader A: has used up what is there, sets reading, starts pull, waits for progress
//	reader B: has used it up, too, finds reading set, waits for progress
//	pull:     reads without the lock; publishes under it; closes progress; clears reading; ends, or sets reading again and reads on
//
// mu guards all state below it. It is not held while the source is read or closed, nor over a call of the owner or a write to a sink.
//
// As long as the copy is in memory, everything is here, and readers can join. Afterwards only what lies between the slowest and the fastest reader stays,
// up to a bound: then the slowest are cut off, and go on with requests of their own.
//
// Refs counts who keeps the source open: readers, waiters that may become readers, and the put that stores the copy. The last to leave calls Finish,
// which closes the source and cancels the exchange. If a read is under way then, Cancel ends it, and a goroutine of its own waits to close the source.
type FanOut struct {
	// The fields above mu are set before the first Attach. Of them, only Final and closing change later.
	Source io.ReadCloser
	Owner  Owner
	Tagged bool // a strong tag proves what another answer continues
	Ahead  bool // it may be read ahead of its readers, and the owner hear of its copy at any time

	Announced http.Header // the trailers, before the body has ended; nil if there are none
	Final     http.Header // the trailers; written by Owner.Ended, read by readers that have seen io.EOF

	// Finish, broke, and the end or an error of the source each ask for it; the first closes it.
	closing sync.Once // of the source

	mu       sync.Mutex // guards the fields below
	BodyCopy            // its body begins at base
	base     int64
	size     int64  // the offset up to which readers may see bytes
	err      error  // how the source ended
	array    []byte // of body, once that is no longer the copy's array, at which readers may be looking without the lock
	// Of the bytes before base, if a reader may be cut off and no strong tag can prove them; nil otherwise.
	prefix Proof

	// Guarded by mu; publish of the in-flight fetch sets it while no reader can know the fan-out yet.
	Refs    int // readers, and waiters that may become one
	readers []*Reader
	one     [1]*Reader // room for the readers, of which there is mostly one
	// Each channel is made by the first that waits (addDemand), closed once (wake), and then forgotten: the next wait makes another.
	progress chan struct{} // closed when there is more; nil if none waits
	// It is the token of pull: who sets it under mu starts pull, which clears it (publish, broke).
	reading  time.Time // since when a read is under way, or zero
	waiting  int32     // readers that wait for more
	deciding bool      // the read under way has brought what decides about the copy, and the owner hears of it
	// Set once, by Finish. Nothing resets it, and room, take and openSink leave the copy alone from then on.
	over  bool // the last has left: the source is closed, or will be
	whole bool // the copy is complete, and all of it is in body
	late  bool // a reader's deadline has passed while it waited

	reader   *Reader // that the read under way is for, or nil if none has asked: a panic in the read happens again in its goroutine
	panicked *Panic
}

// An Owner has the exchange that a body comes from. The fan-out calls it without its lock.
type Owner interface {
	// Ended is called once the source has returned io.EOF: its trailers are there.
	Ended()

	// Decided is called once, when it is certain what becomes of the copy.
	Decided(Outcome)

	// Cancel ends the exchange with the origin.
	Cancel(cause error)
}

// Attach adds a reader of the bytes from first up to end, -1 for the end of the body. It takes over a reference, which t.Close or the end of t.Ctx
// gives back; of a body that is whole by now, t.Close or a Read does. It returns nil, and leaves the reference, if the beginning of the body is no longer here.
// The caller owns a reference. An AfterFunc may run before Attach returns; it waits for mu in depart.
func (s *FanOut) Attach(t *Reader, first, end int64) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base > 0 || s.over {
		return nil
	}
	// base is zero, so all bytes are here, and from now on off keeps those that this reader still needs (slowest).
	if s.readers == nil {
		s.readers = s.one[:0]
	}
	t.FanOut, t.off, t.end, t.at = s, first, end, len(s.readers)
	s.readers = append(s.readers, t)
	// Of a body that is whole and has ended, a reader holds nothing but memory: the end of its context frees nothing more, and Read looks at it.
	// One that was longer than declared is whole as far as the copy is concerned, and has room of the budget for the rest.
	if t.Ctx.Done() != nil && !(s.whole && s.err != nil && s.array == nil) {
		t.stop = context.AfterFunc(t.Ctx, func() { WithoutPanic(func() { t.depart(context.Cause(t.Ctx)) }) })
	}
	return t
}

// Join adds a reference, if all bytes are here and more are coming, or all have come.
// The new reference counts as a reader at offset 0 until it is attached, so the beginning is kept for it within the bound (slowest).
func (s *FanOut) Join(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Each of these would make the newcomer worse off than a request of its own: the source is closed, has let a deadline pass, has been silent for long,
	// has lost its beginning or broken off, or what comes is not kept, so that a slow reader is cut off.
	stalled := !s.reading.IsZero() && now.Sub(s.reading) > StalledAfter
	if s.over || s.late || stalled || s.base > 0 || s.err != nil && s.err != io.EOF || s.BodyCopy.settled && !s.whole {
		return false
	}
	s.Refs++
	return true
}

// AddRef adds a reference that keeps the fan-out open without reading. Leave gives it back.
func (s *FanOut) AddRef() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Refs++
}

// Leave gives back a reference that has not become a reader's.
// The caller must not hold mu, for the last one closes the source.
func (s *FanOut) Leave(cause error) {
	s.mu.Lock()
	s.Refs--
	last := s.Refs == 0
	s.mu.Unlock()
	// Join may add a reference before Finish has the lock. Then Finish does nothing, and the one that has joined is the last to leave.
	if last {
		s.Finish(cause)
	}
}

// remove takes a reader off the list, with its reference. It reports whether that was the last. The lock is held.
// It is called once for each reader: by depart, or by forget if that comes first (cut).
func (s *FanOut) remove(t *Reader) bool {
	end := len(s.readers) - 1
	s.readers[t.at] = s.readers[end]
	s.readers[t.at].at = t.at
	s.readers[end] = nil
	s.readers = s.readers[:end]
	s.Refs--
	return s.Refs == 0
}

// Finish ends the exchange if no reference is left. A read that is under way must not hold up the caller, which has just left:
// Close of the source may wait for that read, so it is called on a goroutine of its own, which ends with the read.
// It may be called by several at the same time, and again: over lets one through. It calls hooks, so the caller holds no lock.
func (s *FanOut) Finish(cause error) {
	s.mu.Lock()
	if s.Refs > 0 || s.over {
		s.mu.Unlock()
		return
	}
	// From here on pull's goroutine finds over set in room and take, and leaves body and array alone, which go below.
	s.over = true
	var o Outcome
	if !s.BodyCopy.settled {
		o = s.BodyCopy.settle(Outcome{Reason: NotReadToItsEnd})
	} else if s.moving {
		o = s.stopMoving(NotReadToItsEnd)
	}
	s.Claim.release()
	s.body, s.array = nil, nil
	busy := !s.reading.IsZero()
	s.mu.Unlock()
	if busy {
		s.Owner.Cancel(cause)
		// Cancel ends the read. Until it has, Close of the source may block.
		go WithoutPanic(s.closeSource)
	} else {
		defer s.Owner.Cancel(cause)
		defer s.closeSource()
	}
	s.decide(o)
}

// The caller does not hold mu: Close is I/O, and may wait for a read.
func (s *FanOut) closeSource() { s.closing.Do(func() { s.Source.Close() }) }

// decide passes a certain outcome on. The lock is not held.
func (s *FanOut) decide(o Outcome) {
	if o.Complete || o.Reason != "" {
		s.Owner.Decided(o)
	}
}

// wake wakes all readers that wait. The lock is held.
// A reader that is woken looks at the state anew, and may have to wait again.
func (s *FanOut) wake() {
	if s.progress != nil {
		close(s.progress)
		s.progress, s.waiting = nil, 0
	}
}

var (
	errCut    = errors.New("cache: the reader has been cut off")
	errSlides = errors.New("cache: the bytes do not stay where they are")
)
