package stream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Reader is one reader of a FanOut. It is an io.ReadCloser and an io.WriterTo; Close may come while Read runs.
//
// It ends once (depart): with the end of its bytes, with Close, or with its context, whose AfterFunc runs on a goroutine of its own.
// A reader that is cut off has lost its reference to the fan-out, and goes on with a request of its own (readOn).
// One goroutine at a time reads. Close, and the end of Ctx, may come from others at any time.
//
// Its reference to the fan-out is given back once, by whichever comes first:
//   - depart, at the end of its bytes, at an error, at Close or at the end of Ctx;
//   - forget, which cuts it off. What depart ends later is then only the request of its own.
//
// gone and cut never go back. So a goroutine that has seen one of them under the lock may act on it after it has given the lock up.
type Reader struct {
	*FanOut
	Ctx    context.Context
	Answer Answer
	// Set once, by Attach under mu.
	stop func() bool // stops waiting for the end of ctx

	// guarded by the fan-out's lock
	// off moves only in next, on the goroutine that reads. pull's goroutine reads it under the lock (slowest, forget).
	off, end int64 // end is -1 for the end of the body
	at       int   // in FanOut.readers
	// True while the goroutine that reads waits in next, so Close wakes it, and does not drain.
	waits bool
	gone  error // why nothing more can be read here
	// Set once, by forget. The reader has left FanOut.readers then, and has no reference to give back.
	cut   bool // it goes on with a request of its own
	proof Proof
	// Written by open. It is read and closed without the lock.
	rest  io.ReadCloser
	abort context.CancelFunc // makes the request of its own
}

// An Answer is the response that a reader is the body of.
type Answer interface {
	// Ended is called before the reader hears of a clean end.
	Ended()

	// Resume makes the request of its own, for a reader that is cut off.
	Resume() *Continuation
}

// depart ends a reader. The first reason counts. It closes what is the reader's own without the lock, and the fan-out if it was the last.
// The caller does not hold the lock. It may be called at any time, and again.
func (t *Reader) depart(why error) {
	s := t.FanOut
	s.mu.Lock()
	if t.gone != nil { // another goroutine ends it, or has
		s.mu.Unlock()
		return
	}
	t.gone = why
	// Only a Read that waits has to hear of it. One that copies bytes holds the lock, and looks at gone before it waits.
	switch {
	case t.waits && errors.Is(why, http.ErrBodyReadAfterClose):
		s.wake() // for a Read that is under way: Close must end it
	case t.waits: // its deadline has passed while the origin sent nothing: no other request joins this body any more (Join)
		s.late = s.late || errors.Is(why, context.DeadlineExceeded)
	}
	// gone is set now: a later call returns above, so all that follows happens once.
	rest, abort := t.rest, t.abort
	// Only a reader that is still on the list has a reference. forget has given back that of one that was cut off.
	last := !t.cut && s.remove(t)
	s.mu.Unlock()
	// stop does not wait for an AfterFunc that has begun. That one calls depart as well, finds gone set, and returns.
	if t.stop != nil {
		t.stop()
	}
	// Deferred, so that the request of its own ends even if Close of its body panics.
	if abort != nil {
		defer abort()
	}
	// A Read on another goroutine may be in rest: Close is what ends it. At io.EOF readOn has closed it.
	if rest != nil && why != io.EOF {
		rest.Close()
	}
	// A waiter that joins between the lock above and this call keeps the fan-out open: Finish looks at Refs again.
	if last {
		s.Finish(why)
	}
}

// Read reads what is there, and waits only if nothing is.
// It blocks until there are bytes, an error, or the end of Ctx, and holds no lock while it does.
// It returns what is there at that moment, also if that is less than p has room for: a caller that wants more reads again.
func (t *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, n, err := t.next(p)
	if err == errCut {
		return t.readOn(p)
	}
	if b != nil {
		n = copy(p, b)
	}
	return n, err
}

// WriteTo writes the rest of the body as it comes in.
// The goroutine that reads calls it. w is called without the lock, so a slow w holds up no other reader.
func (t *Reader) WriteTo(w io.Writer) (written int64, err error) {
	// The buffer is made at the first need, which most bodies never have: as long as the copy is in memory, its bytes are written from there.
	var buffer []byte
	for {
		b, err := t.nextOr(&buffer)
		if len(b) > 0 {
			n, err := w.Write(b)
			written += int64(n)
			if err == nil && n < len(b) {
				err = io.ErrShortWrite
			}
			if err != nil {
				return written, err
			}
		}
		switch {
		case err == io.EOF:
			return written, nil
		case err != nil:
			return written, err
		}
	}
}

// nextOr returns the next bytes, in the fan-out's own array if they stay there, and otherwise in the buffer.
func (t *Reader) nextOr(buffer *[]byte) ([]byte, error) {
	// Once there is a buffer, bytes are always copied: a window that slides never becomes an array again that only grows.
	if *buffer == nil {
		b, _, err := t.next(nil)
		if err != errSlides && err != errCut {
			return b, err
		}
		*buffer = make([]byte, windowStep)
	}
	n, err := t.Read(*buffer)
	return (*buffer)[:n], err
}

// next waits for bytes and moves on. If they stay where they are, it returns them there, as many as p has room for, or all if p is nil.
// Otherwise it copies them into p under the lock, or returns errSlides. It waits without the lock.
// The goroutine that reads calls it, without the lock.
func (t *Reader) next(p []byte) (b []byte, n int, err error) {
	s := t.FanOut
	// The AfterFunc may not have run yet. A reader whose context has ended gets no more bytes, even if some are there.
	if t.Ctx.Err() != nil {
		t.depart(context.Cause(t.Ctx))
	}
	for {
		s.mu.Lock()
		done, err := t.state()
		if done {
			s.mu.Unlock() // conclude calls Answer.Ended, and may panic
			return nil, 0, t.conclude(err)
		}
		if t.off < s.size {
			break // with the lock: below, off, base and size must be those that were compared here
		}
		// The demand and the channel come from one critical section. Bytes that arrive right after it close that very channel:
		//	we: see no bytes, take the channel   pull: adds bytes, closes it   we: wait, wake at once
		t.waits = true
		more := s.addDemand(t)
		s.mu.Unlock()
		select {
		case <-more: // bytes, the end, Close, or the end of another reader: state says which
		case <-t.Ctx.Done():
			t.depart(context.Cause(t.Ctx))
		}
		s.mu.Lock()
		t.waits = false
		s.mu.Unlock()
	}
	defer s.mu.Unlock()
	upTo := s.size
	if t.end >= 0 {
		upTo = min(upTo, t.end)
	}
	b = s.body[t.off-s.base : upTo-s.base]
	if p != nil {
		b = b[:min(len(b), len(p))]
	}
	// The window slides: its bytes move with a later read, so they are copied while the lock is held.
	// The array of a copy only grows at its end, so what is in it may be read without the lock.
	if s.array != nil {
		if p == nil {
			return nil, 0, errSlides
		}
		n, b = copy(p, b), nil
		t.off += int64(n)
		return nil, n, nil
	}
	t.off += int64(len(b))
	return b, 0, nil
}

// state reports whether there is nothing more to read here, and why. The lock is held.
func (t *Reader) state() (bool, error) {
	s := t.FanOut
	// The order counts: after Close nothing is read, even if bytes are left; and of a reader that was cut off, the bytes at off are gone,
	// so it must not compare off with size any more.
	switch {
	case t.gone != nil:
		return true, t.gone
	case t.cut:
		return true, errCut
	case t.end >= 0 && t.off >= t.end:
		return true, io.EOF
	case t.off < s.size || s.err == nil:
		return false, nil
	case s.err == io.EOF && t.end >= 0:
		return true, io.ErrUnexpectedEOF
	}
	return true, s.err
}

// conclude ends the reader, and repeats a panic of the read that it has asked for.
// It runs on the goroutine that reads, without the lock. Answer.Ended runs before depart, so that the trailers are there when the reader hears of the end.
func (t *Reader) conclude(err error) error {
	if err == errCut {
		return err
	}
	// The panic is taken under the lock, so that it happens again in one reader only.
	t.mu.Lock()
	first := t.gone == nil
	r := t.panicked
	mine := first && r != nil && (r.to == t || r.to == nil && t.off >= t.size)
	if mine {
		t.panicked = nil
	}
	t.mu.Unlock()
	if first && err == io.EOF {
		t.Answer.Ended()
	}
	t.depart(err)
	if mine {
		r.Again()
	}
	return err
}

// readOn reads from an answer to a request of the reader's own, once it has been cut off.
// Only the goroutine that reads calls it, so the request is sent once.
func (t *Reader) readOn(p []byte) (int, error) {
	t.mu.Lock()
	rest, gone := t.rest, t.gone
	t.mu.Unlock()
	if gone != nil {
		return 0, gone
	}
	if rest == nil {
		if rest, gone = t.open(); gone != nil {
			return 0, gone
		}
	}
	n, err := rest.Read(p)
	if err != nil { // io.EOF as well: the reader has all of its bytes then
		rest.Close()
		t.depart(err)
	}
	return n, err
}

// open requests the rest. Close ends that, too: abort is set under the lock before the request is sent, and gone is checked after it.
func (t *Reader) open() (rest io.ReadCloser, gone error) {
	ctx, abort := context.WithCancel(t.Ctx)
	// Either Close comes first, and gone shows it here, or it finds abort:
	//	we: set abort   Close: sets gone, calls abort   we: send, and fail at once
	t.mu.Lock()
	t.abort, gone = abort, t.gone
	t.mu.Unlock()
	if gone != nil {
		abort()
		return nil, gone
	}
	// off, end and proof stay as they are from the cut on: next reads nothing more, so they need no lock here.
	c := t.Answer.Resume()
	c.Request = c.Request.WithContext(ctx)
	c.Offset, c.End, c.Prefix = t.off, t.end, t.proof
	rest, err := c.Open()
	if err != nil {
		t.depart(err)
	}
	// A Close in between has found no body to close. Then this goroutine closes it.
	t.mu.Lock()
	t.rest, gone = rest, t.gone
	t.mu.Unlock()
	if gone != nil && rest != nil {
		rest.Close()
	}
	return rest, gone
}

// Close ends the reader. The last one reads on to the end of the body if that cannot be far away, so that it can be stored.
func (t *Reader) Close() error {
	// drain comes before depart, which gives the last reference back: Finish would drop the copy.
	if t.lastOfACopy() {
		t.drain()
	}
	t.depart(http.ErrBodyReadAfterClose)
	// depart keeps the first reason. From now on a Read says that the body is closed, also if it had come to its end.
	t.mu.Lock()
	t.gone = http.ErrBodyReadAfterClose
	t.mu.Unlock()
	// No error of the source: it belongs to all readers, and this one has said that it wants no more.
	return nil
}

// lastOfACopy reports whether the copy would be lost with this reader, and is near enough to its end to be completed.
// It is not if a Read of this reader waits at the moment: Close must end that one, and not wait beside it.
// The answer may be outdated at once: another reader may join. Then drain has read a little more than it had to.
func (t *Reader) lastOfACopy() bool {
	s := t.FanOut
	s.mu.Lock()
	defer s.mu.Unlock()
	alone := s.Refs == 1 || s.deciding && len(s.readers) == 1 // the owner adds a reference for what it stores
	return t.gone == nil && !t.cut && alone && s.unfinished() && s.nearEnd(s.size) && t.Ctx.Err() == nil && !t.waits
}

// unfinished reports whether another read, or the end of the one under way, may tell what becomes of the copy. The lock is held.
func (s *FanOut) unfinished() bool {
	return s.err == nil && (!s.BodyCopy.settled || s.moving || s.deciding || s.whole && !s.reading.IsZero())
}

// drain has the rest read, within bounds of bytes and time. It waits without the lock.
// It blocks the caller of Close for DrainTime at most.
func (t *Reader) drain() {
	s := t.FanOut
	// One timer for all of it, so that an origin that trickles cannot hold up Close.
	stalled := time.NewTimer(DrainTime)
	defer stalled.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	// The lock is held at each check, and released for each wait.
	for most := s.size + drainLimit; t.gone == nil && s.unfinished() && s.size <= most; {
		more := s.addDemand(t)
		s.mu.Unlock()
		select {
		case <-more:
		case <-stalled.C:
			s.mu.Lock()
			return
		case <-t.Ctx.Done(): // one that has joined meanwhile may keep the read going
			s.mu.Lock()
			return
		}
		s.mu.Lock()
	}
}
