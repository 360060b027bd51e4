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
//
// As long as the copy is kept, everything is here, and readers can join. When it is dropped, what lies between the slowest and the fastest reader stays,
// up to a bound: then the slowest are cut off, and go on with requests of their own.
type FanOut struct {
	Source  io.ReadCloser
	Ended   func()            // Call once the source has said io.EOF: its trailers are there
	Decided func(Outcome)     // Call once it is certain what becomes of the copy
	Cancel  func(cause error) // Ends the exchange with the origin
	Tagged  bool              // a strong tag proves what another answer continues

	Announced http.Header // the trailers, before the body has ended; nil if there are none
	Final     http.Header // the trailers; written by ended

	closing sync.Once // Generation the source

	mu       sync.Mutex // guards the fields below
	BodyCopy            // its body begins at base
	base     int64
	size     int64  // Bytes that readers may see
	err      error  // how the source ended
	array    []byte // Generation body, once the copy is dropped and the array is no longer the one that readers may be looking at
	prefix   Proof

	Refs     int // readers, and those who may become one
	readers  []*Reader
	waiting  int           // readers that wait for more
	progress chan struct{} // closed when there is more, nil if nobody waits
	reading  time.Time     // FetchedSince when a read is under way, or zero
	over     bool          // nobody is there any more
	whole    bool          // the copy is complete, and all of it is here
	late     bool          // a reader's deadline has passed while it waited

	reader   *Reader // for whom the read under way is
	panicked *Panic
}

// scratches are small buffers for single reads.
var scratches = sync.Pool{New: func() any { return new([ScratchSize]byte) }}

const ScratchSize = 4 << 10

// Attach adds a reader of the bytes from first up to end. It takes over a reference. It is nil if these bytes are no longer here.
func (s *FanOut) Attach(t *Reader, first, end int64) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base > 0 || s.over {
		return nil
	}
	t.FanOut, t.off, t.end, t.at = s, first, end, len(s.readers)
	s.readers = append(s.readers, t)
	if t.Ctx.Done() != nil {
		t.stop = context.AfterFunc(t.Ctx, func() { WithoutPanic(func() { t.depart(context.Cause(t.Ctx)) }) })
	}
	return t
}

// Join adds a reference, if all bytes are here and more are coming.
func (s *FanOut) Join(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stalled := !s.reading.IsZero() && now.Sub(s.reading) > StalledAfter
	if s.over || s.late || stalled || s.base > 0 || s.err != nil && s.err != io.EOF || s.BodyCopy.settled && !s.whole {
		return false
	}
	s.Refs++
	return true
}

// AddRef adds the reference of one who is no reader and reads nothing.
func (s *FanOut) AddRef() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Refs++
}

// Leave gives back the reference of one who has not become a reader.
func (s *FanOut) Leave(cause error) {
	s.mu.Lock()
	s.Refs--
	last := s.Refs == 0
	s.mu.Unlock()
	if last {
		s.Finish(cause)
	}
}

// remove takes a reader off the list. It tells whether nobody is left.
func (s *FanOut) remove(t *Reader) bool {
	end := len(s.readers) - 1
	s.readers[t.at] = s.readers[end]
	s.readers[t.at].at = t.at
	s.readers[end] = nil
	s.readers = s.readers[:end]
	s.Refs--
	return s.Refs == 0
}

// Finish ends the exchange when nobody is left. A read that is under way must not hold up the one who left last.
func (s *FanOut) Finish(cause error) {
	s.mu.Lock()
	if s.Refs > 0 || s.over {
		s.mu.Unlock()
		return
	}
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
		go WithoutPanic(s.closeSource)
	} else {
		defer s.Cancel(cause)
		defer s.closeSource()
	}
	s.decide(o)
}

func (s *FanOut) closeSource() { s.closing.Do(func() { s.Source.Close() }) }

// report tells of an outcome. The lock is not held.
func (s *FanOut) decide(o Outcome) {
	if o.Complete || o.Reason != "" {
		s.Decided(o)
	}
}

// wake wakes all who wait. The lock is held.
func (s *FanOut) wake() {
	if s.progress != nil {
		close(s.progress)
		s.progress, s.waiting = nil, 0
	}
}

// addDemand has more read, unless that is under way, and returns what is closed when there is more. The lock is held.
func (s *FanOut) addDemand(t *Reader) <-chan struct{} {
	if s.progress == nil {
		s.progress = make(chan struct{})
	}
	s.waiting++
	if s.reading.IsZero() {
		s.reading, s.reader = time.Now(), t
		go s.pull()
	}
	return s.progress
}

// pull reads once from the source.
func (s *FanOut) pull() {
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
	WithoutPanic(func() { s.Finish(context.Canceled) }) // if the last readers have been cut off meanwhile
}

// read reads, and settles the copy if this was the end of it.
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
	s.decideForReader(o)
	if err != nil {
		s.closeSource()
	}
	return n, err
}

// errMiscounted blames a body that breaks the contract of io.Reader.
var errMiscounted = errors.New("cache: a body has said that it read more bytes than there was room for, or fewer than none")

// decideForReader is tell on behalf of the reader that has asked for what was read. A hook that panics is its affair: the body is as it was, for the others, too.
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

// move moves what was read into a store. The lock is not held: the store may be slow.
func (s *FanOut) move(before, p []byte, err error) Outcome {
	o := Outcome{Reason: ErrSlow}
	if s.sink.Write(before) {
		o = s.sink.Move(&s.BodyCopy, p, err)
	} else {
		s.sink.Abort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.moving { // everyone has left meanwhile
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
		return nil // complete: what comes now is the end
	}
	return s.slide()
}

// passOn takes in what was read, to where room has said. The lock is held.
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

// publish shows readers what has been read. It is false if that was nothing and somebody still waits for more.
func (s *FanOut) publish(n int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 && err == nil && s.waiting > 0 {
		return false
	}
	s.size += int64(n)
	s.err = err
	s.reading, s.reader = time.Time{}, nil
	s.wake()
	return true
}

// broke ends the body when reading it has panicked.
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
	defer func() { recover() }() // a hook that panics, too: the first panic is told
	s.closeSource()
	s.decide(o)
}

// windowStep is how much is read at a time when the copy has been dropped.
const windowStep = 32 << 10

// slide returns room behind the body once the copy has been dropped: what all readers have read goes, and so do the slowest of them
// if there would be too much between them and the fastest. The lock is held.
//
// Readers look at the array of the copy without the lock, so that is left as it is; at those that are made here they look under it.
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

// slowest is the offset of the reader that is furthest behind. Those who may still become one are at the beginning.
func (s *FanOut) slowest() int64 {
	if s.Refs > len(s.readers) {
		return s.base
	}
	slowest := s.size
	for _, t := range s.readers {
		slowest = min(slowest, t.off)
	}
	return slowest
}

// forget drops the bytes before an offset, and cuts off the readers that still need them. What they have read is hashed for them,
// so that another answer can be told to begin with the same bytes, unless a tag tells it. The lock is held.
func (s *FanOut) forget(to int64) {
	if to <= s.base {
		return
	}
	if s.base == 0 && s.Refs > 1 && !s.Tagged {
		s.prefix = NewProof()
	}
	if s.Refs <= 1 {
		s.prefix = nil // the one who is left is never cut off
	}
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
		s.wake() // one of them may be waiting, though for nothing that is read here
	}
}

var (
	errCut    = errors.New("cache: the reader has been cut off")
	errSlides = errors.New("cache: the bytes do not stay where they are")
)
