package cache

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// recorder is a response body that is copied as the caller reads it. The copy is handed over once the body is provably complete:
// after a clean end, or after as many bytes as were declared. Whatever else happens, the copy is dropped and the caller sees what the origin sent.
type recorder struct {
	io.ReadCloser
	limit  int64
	length int64 // declared, or -1

	// One of these is called, once, and without the lock.
	commit  func(body []byte)
	abandon func(reason string)

	ended func() // called when the body has ended, before the caller hears of it; its trailers are there

	trailers bool // trailers are announced: they come with the end, not with the last byte

	mu   sync.Mutex // guards the fields below: Close may come while Read runs
	copy []byte
	over bool // nothing is recorded any more
}

// maxPrealloc bounds what a declared length may allocate in advance.
const maxPrealloc = 1 << 20

func newRecorder(body io.ReadCloser, length, limit int64) *recorder {
	r := &recorder{ReadCloser: body, limit: limit, length: length}
	if length > 0 {
		r.copy = make([]byte, 0, min(length, limit, maxPrealloc))
	}
	return r
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err == io.EOF {
		r.ended()
	}
	r.settle(r.record(p[:n], err))
	return n, err
}

// outcome is what became of a recording: it goes on if complete is false and reason empty.
type outcome struct {
	complete bool
	body     []byte
	reason   string // why it was dropped
}

// settle tells those who wait for the outcome.
func (r *recorder) settle(o outcome) {
	switch {
	case o.complete:
		r.commit(o.body)
	case o.reason != "":
		r.abandon(o.reason)
	}
}

// record takes what was read.
func (r *recorder) record(p []byte, err error) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return outcome{}
	}
	size := int64(len(r.copy) + len(p))
	switch {
	case err != nil && err != io.EOF:
		return r.drop("the body broke off")
	case r.length >= 0 && size > r.length:
		return r.drop("the body is longer than declared")
	case size > r.limit:
		return r.drop("body exceeds MaxEntryBytes")
	}
	r.grow(len(p))
	r.copy = append(r.copy, p...)
	switch {
	case r.length >= 0 && size == r.length && (err == io.EOF || !r.trailers), r.length < 0 && err == io.EOF:
		r.over = true
		return outcome{complete: true, body: r.copy}
	case err == io.EOF:
		return r.drop("the body is shorter than declared")
	}
	return outcome{}
}

// grow makes room for n more bytes, and for no more in the end than were declared: what is too large stays as long as the entry does.
func (r *recorder) grow(n int) {
	if need := len(r.copy) + n; r.length >= 0 && need > cap(r.copy) {
		r.copy = append(make([]byte, 0, min(max(need, 2*cap(r.copy)), int(r.length))), r.copy...)
	}
}

func (r *recorder) drop(reason string) outcome {
	r.over, r.copy = true, nil
	return outcome{reason: reason}
}

// Close drops what is not complete.
func (r *recorder) Close() error {
	r.settle(r.stop())
	return r.ReadCloser.Close()
}

func (r *recorder) stop() outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return outcome{}
	}
	return r.drop("the body was not read to its end")
}

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

// drainLimit bounds what is read from a response that is dropped, so that its connection can be used again.
const drainLimit = 64 << 10

// drainTime bounds how long that may take: the caller waits, and the connection may have stalled.
const drainTime = 50 * time.Millisecond

// discard drops the body of a response. A body that may be long, or without end, is closed as it is.
func discard(resp *http.Response) {
	if resp.Body != http.NoBody && resp.ContentLength >= 0 && resp.ContentLength <= drainLimit {
		stalled := time.AfterFunc(drainTime, func() { resp.Body.Close() })
		io.CopyN(io.Discard, resp.Body, drainLimit)
		if !stalled.Stop() {
			return
		}
	}
	resp.Body.Close()
}
