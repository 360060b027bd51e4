package retry

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// replayable reports whether the body of req can be sent again.
func replayable(req *http.Request) bool {
	return !hasBody(req) || req.GetBody != nil
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

func closeBody(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

// nextBody gets a body for another attempt. Without one it returns a plan to stop.
func (c *call) nextBody(p plan) plan {
	body, err := c.freshBody()
	if err != nil {
		c.notMade()
		return plan{stop: StopBody, cause: err}
	}
	c.body = body
	return p
}

func (c *call) freshBody() (io.ReadCloser, error) {
	switch {
	case c.buffer != nil:
		return c.buffer.view()
	case hasBody(c.req):
		return c.req.GetBody()
	}
	return c.req.Body, nil
}

var errOverflow = errors.New("retry: the request body is larger than Options.BufferBody and cannot be sent again")

// buffer keeps a body as it is sent, so that it can be sent again from the start.
// Each attempt reads its own view; bytes that no view has read yet come from the source.
// The views that are not closed, and the call until it stops, hold the buffer. The last holder closes the source.
type buffer struct {
	limit   int64
	source  io.ReadCloser
	holders atomic.Int32
	over    atomic.Bool // more than limit was read, and data was dropped

	// reading guards the fields below, and the source during a Read.
	// It is a channel, not a mutex, because a goroutine in a bubble of testing/synctest that waits for a mutex is not durably blocked.
	reading chan struct{}

	data  []byte
	total int64 // bytes read from the source
	err   error // of the source, after total bytes
}

func newBuffer(source io.ReadCloser, limit int64) *buffer {
	b := &buffer{limit: limit, source: source, reading: make(chan struct{}, 1)}
	b.holders.Store(1)
	return b
}

// view returns a body that reads everything from the start.
func (b *buffer) view() (io.ReadCloser, error) {
	if b.over.Load() {
		return nil, errOverflow
	}
	b.holders.Add(1)
	return &view{buffer: b}, nil
}

func (b *buffer) release() {
	if b.holders.Add(-1) == 0 {
		b.source.Close()
	}
}

// view is one reader of a buffer. Close takes no lock, because a Read may hold it for as long as the source takes.
type view struct {
	buffer *buffer
	closed atomic.Bool
	off    int64 // guarded by buffer.reading
}

func (v *view) Read(p []byte) (int, error) {
	if v.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b := v.buffer
	b.reading <- struct{}{}
	defer func() { <-b.reading }()
	n, err := b.readAt(p, v.off)
	v.off += int64(n)
	return n, err
}

func (v *view) Close() error {
	if v.closed.CompareAndSwap(false, true) {
		v.buffer.release()
	}
	return nil
}

// readAt reads from data, then from the source. reading is held.
//
// A transport may still be reading the view of a failed attempt when the next attempt begins.
// The buffer keeps what that Read returns, unless it exceeds the limit: then the next view gets errOverflow.
func (b *buffer) readAt(p []byte, off int64) (int, error) {
	switch {
	case off < int64(len(b.data)):
		return copy(p, b.data[off:]), nil
	case off < b.total:
		return 0, errOverflow
	case b.err != nil:
		return 0, b.err
	}
	n, err := b.source.Read(p)
	b.total += int64(n)
	b.err = err
	if b.total > b.limit {
		b.over.Store(true)
		b.data = nil
		return n, err
	}
	b.data = append(b.data, p[:n]...)
	return n, err
}
