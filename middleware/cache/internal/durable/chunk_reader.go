package durable

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// ChunkReader reads a body from a store piece by piece, one of them ahead. A piece that is missing or damaged is made good by the origin,
// if it can be proved to send the rest of the same representation: by a strong tag, or because it begins with the same bytes.
type ChunkReader struct {
	*stored.Chunks
	durable   *Store
	entry     *stored.Entry
	request   *http.Request     // the caller's
	Origin    http.RoundTripper // nil if there is none to go on from
	next, end int64             // the section that is still to be read

	proof stream.Proof // Generation what has been handed out from the beginning on, where no tag could tell that another answer is the same

	rest    []byte // Generation the piece that has been read
	err     error
	pending chan fetched // the piece that is being read, or nil

	mu     sync.Mutex    // guards the fields below: Close may come while Read runs
	tail   io.ReadCloser // the rest from the origin, or nil
	closed bool
}

// OpenBody returns a reader of a body that is in pieces.
func (d *Store) OpenBody(e *stored.Entry, r *http.Request) io.ReadCloser {
	p := e.Body.Chunks
	return &ChunkReader{Chunks: p, durable: d, entry: e, request: r, end: p.Size}
}

// fetched is what came of reading a piece.
type fetched struct {
	bytes []byte
	err   error
}

// Narrow leaves a section of the body.
func (r *ChunkReader) Narrow(first, size int64) { r.next, r.end = first, first+size }

func (r *ChunkReader) Read(p []byte) (int, error) {
	tail, closed := r.state()
	switch {
	case closed:
		return 0, http.ErrBodyReadAfterClose
	case tail != nil:
		return tail.Read(p)
	case len(p) == 0:
		return 0, nil
	case len(r.rest) == 0 && r.err == nil:
		if r.rest, r.err = r.section(); r.err != nil && r.err != io.EOF {
			return r.continueFromOrigin(p)
		}
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *ChunkReader) state() (tail io.Reader, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tail != nil {
		tail = r.tail
	}
	return tail, r.closed
}

// section returns the next bytes of the section, and begins to read those behind them.
func (r *ChunkReader) section() ([]byte, error) {
	if r.next >= r.end {
		return nil, io.EOF
	}
	n := r.next / chunkBytes
	bytes, err := r.fetched(n)
	if err != nil {
		return nil, err
	}
	start := n * chunkBytes
	section := bytes[r.next-start : min(r.end-start, int64(len(bytes)))]
	if r.next == 0 && !r.entry.Etag.Strong() {
		r.proof = stream.NewProof()
	}
	if r.proof != nil {
		r.proof.Write(section)
	}
	if r.next += int64(len(section)); r.next < r.end {
		r.readAhead(n + 1)
	}
	return section, nil
}

// fetched returns a piece: one that was read ahead, or one that is read now.
func (r *ChunkReader) fetched(n int64) ([]byte, error) {
	if r.Ready != nil && n == r.ReadyIndex {
		return r.Ready, nil
	}
	ctx := r.request.Context()
	var f fetched
	if r.pending != nil {
		f, r.pending = <-r.pending, nil
	} else {
		f.bytes, f.err = r.durable.chunk(ctx, r.Chunks, n)
	}
	if f.err != nil && !Missing(f.err) && ctx.Err() == nil {
		f.bytes, f.err = r.durable.chunk(ctx, r.Chunks, n) // it may have been a moment's trouble
	}
	return f.bytes, f.err
}

// Missing tells whether a body has been lost for good.
func Missing(err error) bool { return errors.Is(err, ErrGone) || errors.Is(err, ErrDamaged) }

// readAhead begins to read a piece. That takes no longer than a call of the store may.
func (r *ChunkReader) readAhead(n int64) {
	ahead := make(chan fetched, 1)
	r.pending = ahead
	ctx := r.request.Context()
	go func() {
		bytes, err := r.durable.chunk(ctx, r.Chunks, n)
		ahead <- fetched{bytes, err}
	}()
}

// continueFromOrigin reads on from the origin.
func (r *ChunkReader) continueFromOrigin(p []byte) (int, error) {
	ctx := r.request.Context()
	if ctx.Err() != nil {
		r.err = context.Cause(ctx)
		return 0, r.err
	}
	if Missing(r.err) {
		r.durable.Forget(r.entry.RecordKey, r.ID)
	}
	r.err = io.ErrUnexpectedEOF
	if r.Origin == nil {
		return 0, r.err
	}
	rest, err := r.continuation().Open()
	if err != nil {
		r.err = err
		return 0, err
	}
	r.mu.Lock()
	r.tail = rest
	closed := r.closed
	r.mu.Unlock()
	if closed {
		rest.Close()
		return 0, http.ErrBodyReadAfterClose
	}
	return rest.Read(p)
}

// continuation is what the origin is asked for: of a stored part, too, what is missing of the section, by its place in the whole.
func (r *ChunkReader) continuation() *stream.Continuation {
	c := &stream.Continuation{
		Next: r.Origin, Request: r.request, Status: r.entry.Status, Header: r.entry.Header,
		Length: r.Size, Uncompressed: r.entry.Uncompressed, Offset: r.next, End: -1, Prefix: r.proof,
	}
	if part := r.entry.Part; part != nil {
		c.Status, c.Length, c.Offset, c.End = http.StatusOK, part.Complete, part.First+r.next, part.First+r.end
		if part.First > 0 {
			c.Prefix = nil // it is of bytes in the midst
		}
	} else if r.end < r.Size {
		c.End = r.end
	}
	return c
}

// Close ends the reading.
func (r *ChunkReader) Close() error {
	r.mu.Lock()
	tail := r.tail
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	if tail == nil || again {
		return nil
	}
	return tail.Close()
}

// ResumeFrom has a body that is read from a store go on from the origin if it must. The caller may be another one than the one
// for whose request the response was made.
func ResumeFrom(resp *http.Response, r *http.Request, next http.RoundTripper) {
	if body, ok := resp.Body.(*ChunkReader); ok {
		body.request, body.Origin = Outliving(r), next
	}
}
