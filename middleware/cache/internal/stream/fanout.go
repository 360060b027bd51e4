package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// FanOut is the body of one answer on its way to several readers, each at its own pace, and into a copy for the store.
//
// Nothing is read ahead: a reader that has used up what is there has more read, on a goroutine that lives as long as that one read.
// So a reader that does not read costs no goroutine, and one that is canceled does not wait for the origin.
// At most one such goroutine runs, for reading is zero if none does:
//
//	reader A: has used up what is there, sets reading, starts pull, waits for progress
//	reader B: has used it up, too, finds reading set, waits for progress
//	pull:     reads without the lock; publishes under it; closes progress; clears reading; ends
//
// mu guards all state below it. It is not held while the source is read or closed, nor over Ended, Decided, Cancel or a write to a sink.
//
// As long as the copy is in memory, everything is here, and readers can join. Afterwards only what lies between the slowest and the fastest reader stays,
// up to a bound: then the slowest are cut off, and go on with requests of their own.
//
// Refs counts who keeps the source open: readers, waiters that may become readers, and the put that stores the copy. The last to leave calls Finish,
// which closes the source and cancels the exchange. If a read is under way then, Cancel ends it, and a goroutine of its own waits to close the source.
type FanOut struct {
	// The fields above mu are set before the first Attach. Of them, only Final and closing change later.
	Source  io.ReadCloser
	Ended   func()            // called once the source has returned io.EOF: its trailers are there
	Decided func(Outcome)     // called once, when it is certain what becomes of the copy
	Cancel  func(cause error) // ends the exchange with the origin
	Tagged  bool              // a strong tag proves what another answer continues

	Announced http.Header // the trailers, before the body has ended; nil if there are none
	Final     http.Header // the trailers; written by Ended, read by readers that have seen io.EOF

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
	waiting int // readers that wait for more
	// Each channel is made by the first that waits (addDemand), closed once (wake), and then forgotten: the next wait makes another.
	progress chan struct{} // closed when there is more; nil if none waits
	// It is the token of pull: who sets it under mu starts the goroutine, and that goroutine clears it (publish, broke).
	reading time.Time // since when a read is under way, or zero
	// Set once, by Finish. Nothing resets it, and room, take and openSink leave the copy alone from then on.
	over  bool // the last has left: the source is closed, or will be
	whole bool // the copy is complete, and all of it is in body
	late  bool // a reader's deadline has passed while it waited

	reader   *Reader // that the read under way is for: a panic in the read happens again in its goroutine
	panicked *Panic
}

// scratches are small buffers for single reads.
var scratches = sync.Pool{New: func() any { return new([ScratchSize]byte) }}

// ScratchSize is the size of a small buffer, and the least room in the copy that is worth a read of its own.
const ScratchSize = 4 << 10

// Attach adds a reader of the bytes from first up to end, -1 for the end of the body. It takes over a reference, which t.Close or the end of t.Ctx
// gives back. It returns nil, and leaves the reference, if the beginning of the body is no longer here.
// The caller owns a reference. The AfterFunc may run before Attach returns; it waits for mu in depart.
func (s *FanOut) Attach(t *Reader, first, end int64) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base > 0 || s.over {
		return nil
	}
	// base is zero, so all bytes are here, and from now on off keeps those that this reader still needs (slowest).
	t.FanOut, t.off, t.end, t.at = s, first, end, len(s.readers)
	s.readers = append(s.readers, t)
	if t.Ctx.Done() != nil {
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
		s.Cancel(cause)
		// Cancel ends the read. Until it has, Close of the source may block.
		go WithoutPanic(s.closeSource)
	} else {
		defer s.Cancel(cause)
		defer s.closeSource()
	}
	s.decide(o)
}

// The caller does not hold mu: Close is I/O, and may wait for a read.
func (s *FanOut) closeSource() { s.closing.Do(func() { s.Source.Close() }) }

// decide passes a certain outcome on. The lock is not held.
func (s *FanOut) decide(o Outcome) {
	if o.Complete || o.Reason != "" {
		s.Decided(o)
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

// addDemand has more read, unless a read is under way, and returns the channel that is closed when there is more. The lock is held.
// t becomes the reader that answers for a panic only if it starts the read.
func (s *FanOut) addDemand(t *Reader) <-chan struct{} {
	if s.progress == nil {
		s.progress = make(chan struct{})
	}
	// reading is checked and set under one lock, so two readers never start two reads.
	s.waiting++
	if s.reading.IsZero() {
		s.reading, s.reader = time.Now(), t
		go s.pull()
	}
	return s.progress
}

// pull reads once from the source, on a goroutine of its own. It ends when it has published something: bytes, an error, or that no reader waits.
// addDemand has set reading for it. Nothing waits for its end; Cancel and the source's Close hasten it.
func (s *FanOut) pull() {
	// A panic and a runtime.Goexit look the same here but for the value; either would leave the readers waiting for ever.
	returned := false
	defer func() {
		if !returned {
			s.broke(&Panic{Value: recover(), Exited: true})
		}
	}()
	for empty := 0; ; empty++ {
		n, err := s.read()
		if n == 0 && err == nil && empty == 100 {
			err = io.ErrNoProgress
		}
		if s.publish(n, err) {
			break
		}
	}
	returned = true
	WithoutPanic(func() { s.Finish(context.Canceled) }) // if the last readers have been cut off meanwhile, and so could not call it
}

// read reads from the source, and settles the copy if this was the end of it. What it has read is not visible until publish:
// slide and take may write behind size while readers look at what is before it.
// Only pull calls it, so at most one call is under way. It blocks in the source, in Decided and, for a large copy, in the sink.
func (s *FanOut) read() (int, error) {
	s.mu.Lock()
	dst := s.room()
	s.mu.Unlock()
	var scratch *[ScratchSize]byte
	if dst == nil {
		scratch = scratches.Get().(*[ScratchSize]byte)
		defer scratches.Put(scratch)
		dst = scratch[:]
	}
	// The last reader may leave while this blocks: Finish sets over, cancels, and take then ignores what was read.
	n, err := s.Source.Read(dst)
	if n < 0 || n > len(dst) {
		n, err = 0, errMiscounted
	}
	s.mu.Lock()
	before := s.openSink(n)
	o := s.take(scratch, n, err)
	moving := s.moving
	s.mu.Unlock()
	if err == io.EOF {
		s.Ended()
	}
	if moving {
		o = s.move(before, dst[:n], err)
	}
	// Ended comes before Decided and before publish: who hears of a complete copy, or reads io.EOF, may read the trailers.
	// Decided comes before publish: a reader that has seen the end finds the copy handed over.
	s.decideForReader(o)
	if err != nil {
		s.closeSource()
	}
	return n, err
}

// errMiscounted blames a body that breaks the contract of io.Reader.
var errMiscounted = errors.New("cache: a body has said that it read more bytes than there was room for, or fewer than none")

// decideForReader is decide on behalf of the reader that the read is for. A panic of the hook happens again in its goroutine; the body is intact for all.
func (s *FanOut) decideForReader(o Outcome) {
	defer func() {
		if value := recover(); value != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.panicked = &Panic{to: s.reader, Value: value}
		}
	}()
	s.decide(o)
}

// openSink begins to move the copy into a store if it becomes too large for memory, and returns what is to go there first.
// The window that readers see slides from now on. The lock is held.
func (s *FanOut) openSink(n int) []byte {
	if s.over || !s.needsSink(n) {
		return nil
	}
	s.sink, s.moving, s.BodyCopy.settled = s.OpenSink(), true, true
	return s.body
}

// move moves what was read into a store. The lock is not held, for the store may be slow; only pull calls it, so one at a time.
//
//	pull: writes to the sink   last reader: leaves, Finish aborts the sink   pull: finds moving false, aborts again, which does nothing
func (s *FanOut) move(before, p []byte, err error) Outcome {
	o := Outcome{Reason: ErrSlow}
	if s.sink.Write(before) {
		o = s.sink.Move(&s.BodyCopy, p, err)
	} else {
		s.sink.Abort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The sink was written to without the lock, so Finish may have given the copy up since.
	if !s.moving { // Finish has stopped it meanwhile, and passed that outcome on
		s.sink.Abort()
		return Outcome{}
	}
	s.moving = !o.Complete && o.Reason == ""
	return o
}

// stopMoving gives up a copy that goes into a store. The lock is held.
func (s *FanOut) stopMoving(reason string) Outcome {
	s.moving = false
	s.sink.Abort()
	return Outcome{Reason: reason}
}

// room returns where to read to, nil for a scratch buffer. The lock is held.
func (s *FanOut) room() []byte {
	switch {
	case s.over:
		return nil
	case !s.BodyCopy.settled:
		return s.roomFor(ScratchSize)
	case s.array == nil && s.Length >= 0 && s.base+int64(len(s.body)) == s.Length:
		return nil // complete: only the end can come now
	}
	return s.slide()
}

// take takes in what was read into the place that room returned. The lock is held.
// dst may have been forgotten by Finish meanwhile; then the bytes are dropped.
func (s *FanOut) take(scratch *[ScratchSize]byte, n int, err error) Outcome {
	if s.over {
		return Outcome{}
	}
	var o Outcome
	switch {
	case s.BodyCopy.settled && scratch == nil:
		s.body = s.body[:len(s.body)+n]
		return o
	case !s.BodyCopy.settled && scratch == nil:
		o = s.extend(n, err)
	case !s.BodyCopy.settled:
		o = s.add(scratch[:n], err)
	}
	if o.Complete {
		s.body, s.whole = o.Body, true
		return o
	}
	if scratch != nil && n > 0 && s.BodyCopy.settled {
		copy(s.slide(), scratch[:n])
		s.body = s.body[:len(s.body)+n]
	}
	return o
}

// publish shows readers what has been read, and wakes them. It is false if that was nothing and a reader still waits for more.
// Only pull calls it. After true, another read may start at once, so pull touches nothing of the read any more.
func (s *FanOut) publish(n int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 && err == nil && s.waiting > 0 {
		return false
	}
	// size and err change together: a reader that sees the last bytes sees the end with them, and asks for no further read.
	s.size += int64(n)
	s.err = err
	s.reading, s.reader = time.Time{}, nil
	s.wake()
	return true
}

// broke ends the body when reading it has panicked: in the goroutine of the reader it was for that happens again, for the others it is an error.
// Only pull's deferred function calls it, once, without mu. No further read starts, for err is set.
func (s *FanOut) broke(r *Panic) {
	r.Exited = r.Value == nil
	s.mu.Lock()
	r.to, s.panicked, s.err = s.reader, r, r
	var o Outcome
	if !s.BodyCopy.settled {
		o = s.BodyCopy.settle(Outcome{Reason: "the body broke off"})
	} else if s.moving {
		o = s.stopMoving("the body broke off")
	}
	s.reading, s.reader = time.Time{}, nil
	s.wake()
	s.mu.Unlock()
	defer func() { recover() }() // a panic of a hook is dropped: the first panic is the one that is passed on
	s.closeSource()
	s.decide(o)
}

// windowStep is how much is read at a time when the copy has been dropped.
const windowStep = 32 << 10

// slide returns room behind the body once the copy is no longer kept: the bytes that all readers have read go, and so do the slowest readers
// if there would be too much between them and the fastest. The lock is held.
//
// Readers look at the array of the copy without the lock, so it is never written to again; at those that are made here they look under the lock.
func (s *FanOut) slide() []byte {
	s.forget(s.slowest())
	if s.array != nil && cap(s.body)-len(s.body) >= windowStep {
		return s.body[len(s.body):cap(s.body)]
	}
	if most := max(s.Limit, 2*windowStep); int64(len(s.body))+windowStep > most {
		s.forget(min(s.base+int64(len(s.body))+windowStep-most, s.size))
	}
	if kept := len(s.body); s.array != nil && cap(s.array)-kept >= windowStep {
		copy(s.array[:kept], s.body)
		s.body = s.array[:kept]
		return s.array[kept:cap(s.array)]
	}
	// A new array: readers may still look at the old one without the lock if it was the copy's. What the budget has lent for the old one goes back first.
	room := int64(windowStep)
	s.Claim.release()
	if len(s.body) > 0 {
		room = min(2*(int64(len(s.body))+windowStep), max(s.Limit, 2*windowStep))
		if !s.Claim.raise(room) {
			s.forget(s.size)
			room = windowStep + int64(len(s.body))
		}
	}
	s.array = make([]byte, room)
	s.body = s.array[:copy(s.array, s.body)]
	return s.array[len(s.body):]
}

// slowest is the offset of the reader that is furthest behind. Waiters that may become readers count as being at the beginning. The lock is held.
func (s *FanOut) slowest() int64 {
	// A reference may be one that only keeps the source open (AddRef); that cannot be told from a waiter here.
	// To keep a little too much is safe, to forget what a waiter still needs is not.
	if s.Refs > len(s.readers) {
		return s.base
	}
	slowest := s.size
	for _, t := range s.readers {
		slowest = min(slowest, t.off)
	}
	return slowest
}

// forget drops the bytes before an offset, and cuts off the readers that still need them. Unless a strong tag can prove it, what they have read is hashed,
// so that another answer can be shown to begin with the same bytes. The lock is held.
func (s *FanOut) forget(to int64) {
	if to <= s.base {
		return
	}
	if s.base == 0 && s.Refs > 1 && !s.Tagged {
		s.prefix = NewProof()
	}
	if s.Refs <= 1 {
		s.prefix = nil // the only reader is never cut off
	}
	// Those that still need a byte before to. They are taken in the order of their offsets, so that the hash goes over the bytes once,
	// and each gets its state at the very byte at which it stopped.
	behind := make([]*Reader, 0, 4)
	for _, t := range s.readers {
		if t.off < to {
			behind = append(behind, t)
		}
	}
	slices.SortFunc(behind, func(a, b *Reader) int { return int(a.off - b.off) })
	at := s.base
	hashUpTo := func(off int64) {
		if s.prefix != nil {
			s.prefix.Write(s.body[at-s.base : off-s.base])
		}
		at = off
	}
	for _, t := range behind {
		hashUpTo(max(t.off, s.base))
		if s.prefix != nil {
			t.proof = cloned(s.prefix)
		}
		t.cut = true
		s.remove(t)
	}
	hashUpTo(to)
	s.body, s.base = s.body[to-s.base:], to
	if len(behind) > 0 {
		s.wake() // one of them may wait for bytes that it will not get here
	}
}

var (
	errCut    = errors.New("cache: the reader has been cut off")
	errSlides = errors.New("cache: the bytes do not stay where they are")
)
