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

// firstBody is the caller's own body, or the first view of it.
func (c *call) firstBody() io.ReadCloser {
	if c.buffer == nil {
		return c.req.Body
	}
	first, _ := c.buffer.view() // nothing has been read yet, so there is nothing to overflow
	return first
}

// nextBody returns a body for one more attempt, or a plan to stop.
func (c *call) nextBody(p plan) (io.ReadCloser, plan) {
	body, err := c.freshBody()
	if err != nil {
		if c.refund != nil {
			c.refund()
			c.refund = nil
		}
		return nil, plan{stop: StopBody, cause: err}
	}
	return body, p
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

// buffer remembers a body as it is sent, so that it can be sent again from the start.
// Each attempt reads its own view; what no view has read yet comes from the source.
// The source is closed when the last holder lets go: the views that are not closed, and the call until it stops.
type buffer struct {
	limit   int64
	source  io.ReadCloser
	holders atomic.Int32
	over    atomic.Bool // more than limit was read, and data is gone

	// reading guards the fields below, and the source for as long as a Read takes.
	// It is a channel and no mutex so that time passes in a bubble of testing/synctest while a Read waits for another.
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

// view is made and closed without the lock, which a Read holds for as long as the source pleases.
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

// readAt reads from what is remembered, then from the source. reading is held.
//
// A transport may still be in a Read of the view of a failed attempt when the next one begins.
// What that Read brings is remembered like all the rest, unless it is too much: then the next view has lost its place.
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
