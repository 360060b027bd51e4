package cache

import (
	"io"
	"net/http"
	"sync/atomic"
)

// content is the bytes of a stored response: in this process's memory, or in the pieces that a store keeps. It never changes.
type content struct {
	bytes  []byte  // all of them, or nil if they are only in the store
	joint  *joint  // that bytes lie in, or nil
	stored *pieces // where they are, if only the store has them or it has them as pieces, too
}

// size is the number of bytes.
func (b content) size() int64 {
	if b.stored != nil {
		return b.stored.size
	}
	return int64(len(b.bytes))
}

// here tells whether the bytes are in memory.
func (b content) here() bool { return b.stored == nil || int64(len(b.bytes)) == b.stored.size }

// held is how many bytes of memory the content takes.
func (b content) held() int64 {
	if b.joint != nil {
		return int64(len(b.joint.array))
	}
	return int64(cap(b.bytes))
}

// content returns a reader of all bytes of the body, for a request.
func (e *Entry) content(r *http.Request) io.ReadCloser {
	if e.body.here() {
		return &reader{rest: e.body.bytes}
	}
	p := e.body.stored
	return &pieceReader{pieces: p, entry: e, request: r, end: p.size}
}

// A narrower is a body of which only a section is to be read. It is told so before the first byte is read.
type narrower interface {
	narrow(first, size int64)
}

// narrow leaves a section of the body.
func (r *reader) narrow(first, size int64) { r.rest = r.rest[first : first+size : first+size] }

// reader reads a stored body.
type reader struct {
	rest   []byte
	closed atomic.Bool
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes the rest of the body in one piece.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	if r.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(r.rest) == 0 {
		return 0, nil
	}
	n, err := w.Write(r.rest)
	r.rest = r.rest[n:]
	if err == nil && len(r.rest) > 0 {
		err = io.ErrShortWrite
	}
	return int64(n), err
}

func (r *reader) Close() error {
	r.closed.Store(true)
	return nil
}
