package stream

import (
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Recorder is a response body that is copied as its one caller reads it. Whatever happens to the copy, the caller sees what the origin sent.
//
// It has no goroutine. mu guards the copy alone: reads of the body, hooks and writes to a sink's store that may wait happen
// either without it or, for the sink, with only Close to be held up. Close may come while a Read runs:
//
//	Read: blocks in the body   Close: finds reads > 0, drains nothing, stops the copy, closes the body   Read: fails
//
// It may come between two of them as well. Then Close reads the rest, and no Read reads beside it: which of them recorded first what it has got would be chance,
// and the copy could have the bytes in another order than the body.
//
//	Close: sets closed, finds reads == 0, drains   Read: raises reads, finds closed, fails
//
// The cache makes one for a response that only one caller gets. Close ends it; a Recorder that is dropped unclosed loses its claim on the budget to a cleanup.
type Recorder struct {
	io.ReadCloser

	// One of these is called, once, without the lock: Commit with the complete copy, or Abandon with why there is none.
	Commit  func(body stored.Content)
	Abandon func(reason string)

	reads  atomic.Int32 // calls of Read that are under way
	closed atomic.Bool  // set by the first Close, which alone drains

	Ended func() // called when the body has ended, before the caller hears of it; its trailers are there

	// It is held while the sink takes bytes, so Close may wait for a slow store, as the Read does.
	mu sync.Mutex // guards the copy
	BodyCopy
}

// NewRecorder returns a recorder of body that makes the copy d.
func NewRecorder(body io.ReadCloser, d BodyCopy) *Recorder {
	r := &Recorder{ReadCloser: body, BodyCopy: d}
	runtime.AddCleanup(r, (*Claim).release, d.Claim) // for callers that never close it
	return r
}

func (r *Recorder) Read(p []byte) (int, error) {
	// reads is raised before closed is looked at, and Close does it the other way round. So one of them sees the other, or both do: never do both read.
	r.reads.Add(1)
	defer r.reads.Add(-1)
	if r.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return r.read(p)
}

// read reads from the body, for Read or for drain, which take turns.
func (r *Recorder) read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err == io.EOF {
		r.Ended()
	}
	r.decide(r.record(p[:n], err))
	return n, err
}

// decide passes a certain outcome on. The lock is not held.
func (r *Recorder) decide(o Outcome) {
	switch {
	case o.Complete:
		r.Commit(o.Content())
	case o.Reason != "":
		r.Abandon(o.Reason)
	}
}

// record copies what was read, into memory or, once it is large, into the store.
// It calls OpenSink and the sink under mu, so the caller's Read and that of drain take turns.
func (r *Recorder) record(p []byte, err error) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.needsSink(len(p)) {
		r.sink, r.moving = r.OpenSink(), true
		if !r.sink.Write(r.body) {
			r.sink.Fail()
		}
		r.settle(Outcome{Reason: ErrSlow}) // as far as memory is concerned; the sink goes on
	}
	var o Outcome
	if r.moving {
		o = r.sink.Move(&r.BodyCopy, p, err)
		r.moving = !o.Complete && o.Reason == ""
	} else {
		o = r.add(p, err)
	}
	if r.settled {
		r.body = nil
	}
	return o
}

// Close reads on to the end of the body if that cannot be far away, and drops a copy that is not complete. It closes the body on every path.
// A second Close finds the copy settled, and only closes the body again. The order of the deferred calls: the outcome first, then the body.
func (r *Recorder) Close() (err error) {
	defer func() { err = r.ReadCloser.Close() }() // also if a hook panics
	defer func() { r.decide(r.stop()) }()
	if !r.closed.Swap(true) {
		r.drain()
	}
	return nil
}

// drain reads what may be missing. If that takes too long, it closes the body, which ends the read.
// It blocks for about DrainTime at most, without the lock. The bytes are recorded like those that the caller reads.
func (r *Recorder) drain() {
	if !r.unfinished() {
		return
	}
	stalled := time.AfterFunc(DrainTime, func() { WithoutPanic(func() { r.ReadCloser.Close() }) })
	defer stalled.Stop()
	p := make([]byte, 4<<10)
	for left := drainLimit; left >= 0 && r.unfinished(); {
		n, err := r.read(p)
		if left -= n; err != nil {
			return
		}
	}
}

// unfinished reports whether reading a little more can complete the copy, and no Read is under way.
func (r *Recorder) unfinished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int64(len(r.body))
	if r.moving {
		size = r.sink.Written()
	}
	return (!r.settled || r.moving) && r.nearEnd(size) && r.reads.Load() == 0
}

// nearEnd reports whether the end of a body may be near enough to read on for it.
func (d *BodyCopy) nearEnd(size int64) bool { return d.Length < 0 || d.Length-size <= drainLimit }

// stop drops a copy that is not complete, and returns that outcome.
// A Read that is under way finds the copy settled, and records nothing more.
func (r *Recorder) stop() Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moving {
		r.moving = false
		r.sink.Abort()
		return Outcome{Reason: NotReadToItsEnd}
	}
	if r.settled {
		return Outcome{}
	}
	r.body = nil
	return r.settle(Outcome{Reason: NotReadToItsEnd})
}

// NotReadToItsEnd is why a copy is dropped whose reader has closed the body early.
const NotReadToItsEnd = "the body was not read to its end"

// IsRecording reports whether the body is copied as it is read, so that reading it to its end stores it.
func IsRecording(body io.Reader) bool {
	switch body.(type) {
	case *Recorder, *Reader:
		return true
	}
	return false
}
