package stream

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// scratches are small buffers for single reads. They are zero: a body that says it has read more than it has must not show what another one has read.
var scratches = sync.Pool{New: func() any { return new([ScratchSize]byte) }}

func putScratch(scratch *[ScratchSize]byte) {
	clear(scratch[:])
	scratches.Put(scratch)
}

// ScratchSize is the size of a small buffer, and the least room in the copy that is worth a read of its own.
const ScratchSize = 4 << 10

// addDemand has more read, unless a read is under way, and returns the channel that is closed when there is more. The lock is held.
// t becomes the reader that answers for a panic if it starts the read, or is the first to ask for what is read ahead.
func (s *FanOut) addDemand(t *Reader) <-chan struct{} {
	if s.progress == nil {
		s.progress = make(chan struct{})
	}
	// reading is checked and set under one lock, so two readers never start two reads.
	s.waiting++
	switch {
	case s.reading.IsZero():
		s.reading, s.reader = time.Now(), t
		go s.pullApart()
	case s.reader == nil:
		s.reader = t
	}
	return s.progress
}

// aheadLimit is up to where a body is read ahead of its readers.
const aheadLimit = 64 << 10

// readsAhead reports whether the next read waits for no reader: the body is small as far as is known, and its copy still needs it, or only the end can come.
// The lock is held.
func (s *FanOut) readsAhead() bool {
	return s.Ahead && !s.over && (!s.BodyCopy.settled || s.whole) && s.err == nil && s.size < aheadLimit && s.Length <= aheadLimit
}

// ReadAhead begins to read a small body on the caller's goroutine, which has nothing else to do any more: it returns with the end of the body, or when that
// turns out not to be small. Readers see what has come after each read, as if they had asked for it, so one that waits is held up by no later read.
// The caller has published the fan-out, and holds no lock.
func (s *FanOut) ReadAhead() {
	s.mu.Lock()
	begins := s.reading.IsZero() && s.readsAhead()
	if begins {
		s.reading = time.Now()
	}
	s.mu.Unlock()
	if begins {
		s.pull()
	}
}

// pullApart is pull on a goroutine that has just begun.
func (s *FanOut) pullApart() {
	GrowStack()
	s.pull()
}

// pull reads from the source. It ends when it has published something, bytes, an error, or that no reader waits, and does not read ahead.
// addDemand has set reading for it, and gives it a goroutine, or ReadAhead has, which lends it that of its caller. Nothing waits for its end; Cancel and the source's Close hasten it.
func (s *FanOut) pull() {
	// A panic and a runtime.Goexit look the same here but for the value; either would leave the readers waiting for ever.
	returned, ended := false, error(nil)
	defer func() {
		if !returned {
			s.broke(&Panic{Value: recover(), Exited: true})
		}
	}()
	for empty := 0; ; empty++ {
		n, err := s.read()
		if n > 0 {
			empty = 0
		}
		if n == 0 && err == nil && empty == 100 {
			err = io.ErrNoProgress
		}
		if s.publish(n, err) {
			ended = err
			break
		}
	}
	returned = true
	if ended != nil {
		WithoutPanic(func() { s.Owner.Cancel(ended) }) // nothing more is needed of the exchange, whatever becomes of the readers
	}
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
		defer putScratch(scratch)
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
	s.deciding = moving || o.Complete || o.Reason != ""
	s.mu.Unlock()
	if err == io.EOF {
		s.Owner.Ended()
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

// publish shows readers what has been read, and wakes them. It is false if pull is to read on: that was nothing, and a reader still waits, or the body is read ahead.
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
	s.reading, s.reader, s.deciding = time.Time{}, nil, false
	s.wake()
	if n == 0 || !s.readsAhead() {
		return true
	}
	s.reading = time.Now()
	return false
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
	s.reading, s.reader, s.deciding = time.Time{}, nil, false
	s.wake()
	s.mu.Unlock()
	defer func() { recover() }() // a panic of a hook is dropped: the first panic is the one that is passed on
	s.closeSource()
	s.decide(o)
}
