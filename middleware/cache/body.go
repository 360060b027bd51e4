package cache

import (
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// recorder is a response body that is copied as its one caller reads it. Whatever happens to the copy, the caller sees what the origin sent.
type recorder struct {
	io.ReadCloser

	// One of these is called, once, and without the lock.
	commit  func(body content)
	abandon func(reason string)

	reads atomic.Int32 // that are under way

	ended func() // called when the body has ended, before the caller hears of it; its trailers are there

	mu sync.Mutex // guards the draft: Close may come while Read runs
	draft
}

func newRecorder(body io.ReadCloser, d draft) *recorder {
	r := &recorder{ReadCloser: body, draft: d}
	runtime.AddCleanup(r, (*claim).release, d.claim) // for those who never close it
	return r
}

func (r *recorder) Read(p []byte) (int, error) {
	r.reads.Add(1)
	defer r.reads.Add(-1)
	n, err := r.ReadCloser.Read(p)
	if err == io.EOF {
		r.ended()
	}
	r.tell(r.record(p[:n], err))
	return n, err
}

// tell tells those who wait for the outcome.
func (r *recorder) tell(o outcome) {
	switch {
	case o.complete:
		r.commit(o.content())
	case o.reason != "":
		r.abandon(o.reason)
	}
}

// record takes what was read.
func (r *recorder) record(p []byte, err error) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spills(len(p)) {
		r.spill, r.moving = r.spiller(), true
		if !r.spill.write(r.body) {
			r.spill.fail()
		}
		r.settle(outcome{reason: errSlow}) // as far as memory is concerned
	}
	var o outcome
	if r.moving {
		o = r.spill.move(&r.draft, p, err)
		r.moving = !o.complete && o.reason == ""
	} else {
		o = r.add(p, err)
	}
	if r.settled {
		r.body = nil
	}
	return o
}

// Close reads on to the end of the body if that cannot be far away, and drops a copy that is not complete.
func (r *recorder) Close() (err error) {
	defer func() { err = r.ReadCloser.Close() }() // whatever panics
	defer func() { r.tell(r.stop()) }()
	r.drain()
	return nil
}

// drain reads what may be missing.
func (r *recorder) drain() {
	if !r.unfinished() {
		return
	}
	stalled := time.AfterFunc(drainTime, func() { aside(func() { r.ReadCloser.Close() }) })
	defer stalled.Stop()
	p := make([]byte, 4<<10)
	for left := drainLimit; left >= 0 && r.unfinished(); {
		n, err := r.Read(p)
		if left -= n; err != nil {
			return
		}
	}
}

// unfinished tells whether the copy can be completed by reading a little more, and nobody else is reading.
func (r *recorder) unfinished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int64(len(r.body))
	if r.moving {
		size = r.spill.size
	}
	return (!r.settled || r.moving) && r.near(size) && r.reads.Load() == 0
}

// near tells whether the end of a body may be near enough to read on for it.
func (d *draft) near(size int64) bool { return d.length < 0 || d.length-size <= drainLimit }

func (r *recorder) stop() outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moving {
		r.moving = false
		r.spill.abort()
		return outcome{reason: notReadToItsEnd}
	}
	if r.settled {
		return outcome{}
	}
	r.body = nil
	return r.settle(outcome{reason: notReadToItsEnd})
}

const notReadToItsEnd = "the body was not read to its end"

// recording tells that the body is to be stored once it has been read.
func (r *recorder) recording() bool { return true }

// exactly reads as many bytes as were promised: fewer are an error, more are not read.
type exactly struct {
	io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.Reader.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// drainLimit bounds what is read from a body that nobody reads any more: of one that is dropped so that its connection can be used again,
// of one that is copied so that it can be stored.
const drainLimit = 64 << 10

// drainTime bounds how long that may take: the caller waits, and the connection may have stalled.
const drainTime = 50 * time.Millisecond

// aside does something behind the back of those whom a panic could reach: there it would end the process.
func aside(f func()) {
	defer func() { recover() }()
	f()
}

// discard drops the body of a response. A body that may be long, or without end, is closed as it is.
func discard(resp *http.Response) {
	if resp.Body != http.NoBody && resp.ContentLength >= 0 && resp.ContentLength <= drainLimit {
		stalled := time.AfterFunc(drainTime, func() { aside(func() { resp.Body.Close() }) })
		io.CopyN(io.Discard, resp.Body, drainLimit)
		if !stalled.Stop() {
			return
		}
	}
	resp.Body.Close()
}
