package stored

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Content is the bytes of a stored response: in this process's memory, or in the pieces that a store keeps. It never changes.
type Content struct {
	Bytes  []byte       // all of them, or nil if they are only in the store
	buffer *rangeBuffer // that Bytes lie in with those of other parts, or nil
	Chunks *Chunks      // where they are, if only the store has them or it has them as pieces, too
}

// Size is the number of bytes.
func (b Content) Size() int64 {
	if b.Chunks != nil {
		return b.Chunks.Size
	}
	return int64(len(b.Bytes))
}

// InMemory reports whether the bytes are in memory.
func (b Content) InMemory() bool { return b.Chunks == nil || int64(len(b.Bytes)) == b.Chunks.Size }

// held is how many bytes of memory the content takes.
func (b Content) held() int64 {
	if b.buffer != nil {
		return int64(len(b.buffer.array))
	}
	return int64(cap(b.Bytes))
}

// Content returns a reader of all bytes of the body, for a request.
func (e *Entry) Content(r *http.Request) io.ReadCloser {
	if e.Body.InMemory() {
		return &reader{rest: e.Body.Bytes}
	}
	return e.Body.Chunks.Opener.OpenBody(e, r)
}

// A bodyOpener reads bodies that only a store has.
type bodyOpener interface {
	// OpenBody returns a reader of the body of e, for a request. It is read piece by piece; who reads it closes it.
	OpenBody(e *Entry, r *http.Request) io.ReadCloser
}

// A Narrower is a body of which only a section is to be read. It is told so before the first byte is read.
type Narrower interface {
	Narrow(first, size int64)
}

// Narrow leaves a section of the body.
func (r *reader) Narrow(first, size int64) { r.rest = r.rest[first : first+size : first+size] }

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

// Chunks is where the bytes of a body are.
type Chunks struct {
	ID    [16]byte
	Size  int64
	Until time.Time // that they are kept

	Opener bodyOpener
	Fresh  bool // no entry in the store has it yet

	Ready      []byte // the piece with the first byte that is to be served, read already
	ReadyIndex int64  // the number of that piece
}
