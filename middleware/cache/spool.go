package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// spool is the body of one answer on its way to several readers, each at its own pace, and into a copy for the store.
//
// Nothing is read ahead: a reader that has used up what is there has more read, on a goroutine that lives as long as that one read.
// So a reader that does not read costs no goroutine, and one that is canceled does not wait for the origin.
//
// As long as the copy is kept, everything is here, and readers can join. When it is dropped, what lies between the slowest and the fastest reader stays,
// up to a bound: then the slowest are cut off, and go on with requests of their own.
type spool struct {
	source  io.ReadCloser
	ended   func()            // called once the source has said io.EOF: its trailers are there
	decided func(outcome)     // called once it is certain what becomes of the copy
	cancel  func(cause error) // ends the exchange with the origin
	tagged  bool              // a strong tag proves what another answer continues

	announced http.Header // the trailers, before the body has ended; nil if there are none
	final     http.Header // the trailers; written by ended

	closing sync.Once // of the source

	mu     sync.Mutex // guards the fields below
	draft             // its body begins at base
	base   int64
	size   int64  // bytes that readers may see
	err    error  // how the source ended
	array  []byte // of body, once the copy is dropped and the array is no longer the one that readers may be looking at
	prefix proof

	refs     int // readers, and those who may become one
	readers  []*tap
	waiting  int           // readers that wait for more
	progress chan struct{} // closed when there is more, nil if nobody waits
	reading  time.Time     // since when a read is under way, or zero
	over     bool          // nobody is there any more
	whole    bool          // the copy is complete, and all of it is here
	late     bool          // a reader's deadline has passed while it waited

	demander *tap // for whom the read under way is
	raised   *raised
}

// raised is a panic below the cache, or a call of runtime.Goexit, on its way to the goroutine that it would have happened on without a cache.
type raised struct {
	to     *tap // nil for whoever comes first
	value  any
	exited bool
}

// again does what was done below.
func (r *raised) again() {
	if r.exited {
		runtime.Goexit()
	}
	panic(r.value)
}

// Error is for those who did not ask for what has panicked.
func (r *raised) Error() string {
	if r.exited {
		return "cache: a handler below has ended its goroutine"
	}
	return fmt.Sprintf("cache: a handler below has panicked: %v", r.value)
}

// scratches are small buffers for single reads.
var scratches = sync.Pool{New: func() any { return new([scratchSize]byte) }}

const scratchSize = 4 << 10

// tap is one reader of a spool.
type tap struct {
	*spool
	ctx    context.Context
	onEnd  func() // called before the reader hears of a clean end; nil for none
	resume func() *continuation
	stop   func() bool // stops waiting for the end of ctx

	// guarded by the spool's lock
	off, end int64 // end is -1 for the end of the body
	at       int   // in spool.readers
	waits    bool
	gone     error // why nothing more can be read here
	cut      bool  // it goes on with a request of its own
	proof    proof
	rest     io.ReadCloser
	abort    context.CancelFunc // of the request of its own
}

// attach adds a reader of the bytes from first up to end. It takes over a reference. It is nil if these bytes are no longer here.
func (s *spool) attach(t *tap, first, end int64) *tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base > 0 || s.over {
		return nil
	}
	t.spool, t.off, t.end, t.at = s, first, end, len(s.readers)
	s.readers = append(s.readers, t)
	if t.ctx.Done() != nil {
		t.stop = context.AfterFunc(t.ctx, func() { aside(func() { t.depart(context.Cause(t.ctx)) }) })
	}
	return t
}

// join adds a reference, if all bytes are here and more are coming.
func (s *spool) join(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stalled := !s.reading.IsZero() && now.Sub(s.reading) > staleFlight
	if s.over || s.late || stalled || s.base > 0 || s.err != nil && s.err != io.EOF || s.draft.settled && !s.whole {
		return false
	}
	s.refs++
	return true
}

// hold adds the reference of one who is no reader and reads nothing.
func (s *spool) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
}

// leave gives back the reference of one who has not become a reader.
func (s *spool) leave(cause error) {
	s.mu.Lock()
	s.refs--
	last := s.refs == 0
	s.mu.Unlock()
	if last {
		s.finish(cause)
	}
}

// depart ends a reader. The first reason counts.
func (t *tap) depart(why error) {
	s := t.spool
	s.mu.Lock()
	if t.gone != nil {
		s.mu.Unlock()
		return
	}
	t.gone = why
	switch {
	case t.waits && errors.Is(why, http.ErrBodyReadAfterClose):
		s.wake() // a Read that is under way
	case t.waits:
		s.late = s.late || errors.Is(why, context.DeadlineExceeded)
	}
	rest, abort := t.rest, t.abort
	last := !t.cut && s.remove(t)
	s.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	if abort != nil {
		defer abort()
	}
	if rest != nil && why != io.EOF {
		rest.Close()
	}
	if last {
		s.finish(why)
	}
}

// remove takes a reader off the list. It tells whether nobody is left.
func (s *spool) remove(t *tap) bool {
	end := len(s.readers) - 1
	s.readers[t.at] = s.readers[end]
	s.readers[t.at].at = t.at
	s.readers[end] = nil
	s.readers = s.readers[:end]
	s.refs--
	return s.refs == 0
}

// finish ends the exchange when nobody is left. A read that is under way must not hold up the one who left last.
func (s *spool) finish(cause error) {
	s.mu.Lock()
	if s.refs > 0 || s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	var o outcome
	if !s.draft.settled {
		o = s.draft.settle(outcome{reason: notReadToItsEnd})
	} else if s.moving {
		o = s.stopMoving(notReadToItsEnd)
	}
	s.claim.release()
	s.body, s.array = nil, nil
	busy := !s.reading.IsZero()
	s.mu.Unlock()
	if busy {
		s.cancel(cause)
		go aside(s.closeSource)
	} else {
		defer s.cancel(cause)
		defer s.closeSource()
	}
	s.tell(o)
}

func (s *spool) closeSource() { s.closing.Do(func() { s.source.Close() }) }

// tell tells of an outcome. The lock is not held.
func (s *spool) tell(o outcome) {
	if o.complete || o.reason != "" {
		s.decided(o)
	}
}

// wake wakes all who wait. The lock is held.
func (s *spool) wake() {
	if s.progress != nil {
		close(s.progress)
		s.progress, s.waiting = nil, 0
	}
}

// want has more read, unless that is under way, and returns what is closed when there is more. The lock is held.
func (s *spool) want(t *tap) <-chan struct{} {
	if s.progress == nil {
		s.progress = make(chan struct{})
	}
	s.waiting++
	if s.reading.IsZero() {
		s.reading, s.demander = time.Now(), t
		go s.pull()
	}
	return s.progress
}

// pull reads once from the source.
func (s *spool) pull() {
	returned := false
	defer func() {
		if !returned {
			s.broke(&raised{value: recover(), exited: true})
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
	aside(func() { s.finish(context.Canceled) }) // if the last readers have been cut off meanwhile
}

// read reads, and settles the copy if this was the end of it.
func (s *spool) read() (int, error) {
	s.mu.Lock()
	dst := s.room()
	s.mu.Unlock()
	var scratch *[scratchSize]byte
	if dst == nil {
		scratch = scratches.Get().(*[scratchSize]byte)
		defer scratches.Put(scratch)
		dst = scratch[:]
	}
	n, err := s.source.Read(dst)
	if n < 0 || n > len(dst) {
		n, err = 0, errMiscounted
	}
	s.mu.Lock()
	before := s.spillable(n)
	o := s.take(scratch, n, err)
	moving := s.moving
	s.mu.Unlock()
	if err == io.EOF {
		s.ended()
	}
	if moving {
		o = s.move(before, dst[:n], err)
	}
	s.tellFor(o)
	if err != nil {
		s.closeSource()
	}
	return n, err
}

// errMiscounted blames a body that breaks the contract of io.Reader.
var errMiscounted = errors.New("cache: a body has said that it read more bytes than there was room for, or fewer than none")

// tellFor is tell on behalf of the reader that has asked for what was read. A hook that panics is its affair: the body is as it was, for the others, too.
func (s *spool) tellFor(o outcome) {
	defer func() {
		if value := recover(); value != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.raised = &raised{to: s.demander, value: value}
		}
	}()
	s.tell(o)
}

// spillable begins to move the copy into a store if it becomes too large for memory, and returns what is to go there first.
// The window that readers see slides from now on. The lock is held.
func (s *spool) spillable(n int) []byte {
	if s.over || !s.spills(n) {
		return nil
	}
	s.spill, s.moving, s.draft.settled = s.spiller(), true, true
	return s.body
}

// move moves what was read into a store. The lock is not held: the store may be slow.
func (s *spool) move(before, p []byte, err error) outcome {
	o := outcome{reason: errSlow}
	if s.spill.write(before) {
		o = s.spill.move(&s.draft, p, err)
	} else {
		s.spill.abort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.moving { // everyone has left meanwhile
		s.spill.abort()
		return outcome{}
	}
	s.moving = !o.complete && o.reason == ""
	return o
}

// stopMoving gives up a copy that goes into a store. The lock is held.
func (s *spool) stopMoving(reason string) outcome {
	s.moving = false
	s.spill.abort()
	return outcome{reason: reason}
}

// room returns where to read to, nil for a scratch buffer. The lock is held.
func (s *spool) room() []byte {
	switch {
	case s.over:
		return nil
	case !s.draft.settled:
		return s.direct(scratchSize)
	case s.array == nil && s.length >= 0 && s.base+int64(len(s.body)) == s.length:
		return nil // complete: what comes now is the end
	}
	return s.slide()
}

// take takes in what was read, to where room has said. The lock is held.
func (s *spool) take(scratch *[scratchSize]byte, n int, err error) outcome {
	if s.over {
		return outcome{}
	}
	var o outcome
	switch {
	case s.draft.settled && scratch == nil:
		s.body = s.body[:len(s.body)+n]
		return o
	case !s.draft.settled && scratch == nil:
		o = s.extend(n, err)
	case !s.draft.settled:
		o = s.add(scratch[:n], err)
	}
	if o.complete {
		s.body, s.whole = o.body, true
		return o
	}
	if scratch != nil && n > 0 && s.draft.settled {
		copy(s.slide(), scratch[:n])
		s.body = s.body[:len(s.body)+n]
	}
	return o
}

// publish shows readers what has been read. It is false if that was nothing and somebody still waits for more.
func (s *spool) publish(n int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 && err == nil && s.waiting > 0 {
		return false
	}
	s.size += int64(n)
	s.err = err
	s.reading, s.demander = time.Time{}, nil
	s.wake()
	return true
}

// broke ends the body when reading it has panicked.
func (s *spool) broke(r *raised) {
	r.exited = r.value == nil
	s.mu.Lock()
	r.to, s.raised, s.err = s.demander, r, r
	var o outcome
	if !s.draft.settled {
		o = s.draft.settle(outcome{reason: "the body broke off"})
	} else if s.moving {
		o = s.stopMoving("the body broke off")
	}
	s.reading, s.demander = time.Time{}, nil
	s.wake()
	s.mu.Unlock()
	defer func() { recover() }() // a hook that panics, too: the first panic is told
	s.closeSource()
	s.tell(o)
}

// windowStep is how much is read at a time when the copy has been dropped.
const windowStep = 32 << 10

// slide returns room behind the body once the copy has been dropped: what all readers have read goes, and so do the slowest of them
// if there would be too much between them and the fastest. The lock is held.
//
// Readers look at the array of the copy without the lock, so that is left as it is; at those that are made here they look under it.
func (s *spool) slide() []byte {
	s.forget(s.slowest())
	if s.array != nil && cap(s.body)-len(s.body) >= windowStep {
		return s.body[len(s.body):cap(s.body)]
	}
	if most := max(s.limit, 2*windowStep); int64(len(s.body))+windowStep > most {
		s.forget(min(s.base+int64(len(s.body))+windowStep-most, s.size))
	}
	if kept := len(s.body); s.array != nil && cap(s.array)-kept >= windowStep {
		copy(s.array[:kept], s.body)
		s.body = s.array[:kept]
		return s.array[kept:cap(s.array)]
	}
	room := int64(windowStep)
	s.claim.release()
	if len(s.body) > 0 {
		room = min(2*(int64(len(s.body))+windowStep), max(s.limit, 2*windowStep))
		if !s.claim.raise(room) {
			s.forget(s.size)
			room = windowStep + int64(len(s.body))
		}
	}
	s.array = make([]byte, room)
	s.body = s.array[:copy(s.array, s.body)]
	return s.array[len(s.body):]
}

// slowest is the offset of the reader that is furthest behind. Those who may still become one are at the beginning.
func (s *spool) slowest() int64 {
	if s.refs > len(s.readers) {
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
func (s *spool) forget(to int64) {
	if to <= s.base {
		return
	}
	if s.base == 0 && s.refs > 1 && !s.tagged {
		s.prefix = newProof()
	}
	if s.refs <= 1 {
		s.prefix = nil // the one who is left is never cut off
	}
	behind := make([]*tap, 0, 4)
	for _, t := range s.readers {
		if t.off < to {
			behind = append(behind, t)
		}
	}
	slices.SortFunc(behind, func(a, b *tap) int { return int(a.off - b.off) })
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

// Read reads what is there, and waits only if nothing is.
func (t *tap) Read(p []byte) (int, error) {
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
func (t *tap) WriteTo(w io.Writer) (written int64, err error) {
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

// nextOr returns the next bytes, in the spool's own array if they can stay there, or else in the buffer.
func (t *tap) nextOr(buffer *[]byte) ([]byte, error) {
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

var (
	errCut    = errors.New("cache: the reader has been cut off")
	errSlides = errors.New("cache: the bytes do not stay where they are")
)

// next waits for bytes and moves on. If they stay where they are, it returns them there, as many as there is room in p, or all if p is nil.
// Otherwise it copies them into p, or returns errSlides.
func (t *tap) next(p []byte) (b []byte, n int, err error) {
	s := t.spool
	if t.ctx.Err() != nil {
		t.depart(context.Cause(t.ctx))
	}
	for {
		s.mu.Lock()
		done, err := t.state()
		if done {
			s.mu.Unlock()
			return nil, 0, t.conclude(err)
		}
		if t.off < s.size {
			break
		}
		t.waits = true
		more := s.want(t)
		s.mu.Unlock()
		select {
		case <-more:
		case <-t.ctx.Done():
			t.depart(context.Cause(t.ctx))
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

// state tells whether there is nothing more to read here, and why. The lock is held.
func (t *tap) state() (bool, error) {
	s := t.spool
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

// conclude ends the reader, and passes on a panic of the read that it has asked for.
func (t *tap) conclude(err error) error {
	if err == errCut {
		return err
	}
	t.mu.Lock()
	first := t.gone == nil
	r := t.raised
	mine := first && r != nil && r.to == t
	if mine {
		t.raised = nil
	}
	t.mu.Unlock()
	if first && err == io.EOF && t.onEnd != nil {
		t.onEnd()
	}
	t.depart(err)
	if mine {
		r.again()
	}
	return err
}

// readOn reads from an answer to a request of the reader's own, once it has been cut off.
func (t *tap) readOn(p []byte) (int, error) {
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
	if err != nil {
		rest.Close()
		t.depart(err)
	}
	return n, err
}

// open asks for the rest. Close ends that, too.
func (t *tap) open() (rest io.ReadCloser, gone error) {
	ctx, abort := context.WithCancel(t.ctx)
	t.mu.Lock()
	t.abort, gone = abort, t.gone
	t.mu.Unlock()
	if gone != nil {
		abort()
		return nil, gone
	}
	c := t.resume()
	c.request = c.request.WithContext(ctx)
	c.offset, c.end, c.prefix = t.off, t.end, t.proof
	rest, err := c.open()
	if err != nil {
		t.depart(err)
	}
	t.mu.Lock()
	t.rest, gone = rest, t.gone
	t.mu.Unlock()
	if gone != nil && rest != nil {
		rest.Close()
	}
	return rest, gone
}

// Close ends the reader. The last one reads on to the end of the body if that cannot be far away, so that it can be stored.
func (t *tap) Close() error {
	if t.lastOfACopy() {
		t.drain()
	}
	t.depart(http.ErrBodyReadAfterClose)
	t.mu.Lock()
	t.gone = http.ErrBodyReadAfterClose
	t.mu.Unlock()
	return nil
}

// lastOfACopy tells whether the copy is lost with this reader, and near enough to its end.
func (t *tap) lastOfACopy() bool {
	s := t.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.gone == nil && !t.cut && s.refs == 1 && (!s.draft.settled || s.moving) && s.err == nil && s.near(s.size) && t.ctx.Err() == nil && !t.waits
}

// drain has the rest read, within bounds.
func (t *tap) drain() {
	s := t.spool
	stalled := time.NewTimer(drainTime)
	defer stalled.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for most := s.size + drainLimit; t.gone == nil && (!s.draft.settled || s.moving) && s.err == nil && s.size <= most; {
		more := s.want(t)
		s.mu.Unlock()
		select {
		case <-more:
		case <-stalled.C:
			s.mu.Lock()
			return
		}
		s.mu.Lock()
	}
}

// recording tells that the body is to be stored once it has been read.
func (t *tap) recording() bool { return true }
