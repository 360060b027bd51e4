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

// ChunkReader reads a body from a store chunk by chunk, one of them ahead. If a chunk is missing or damaged, the rest comes from the origin,
// if that can be proved to send the same representation: by a strong tag, or because it begins with the same bytes.
//
// One goroutine reads. Close may come from another one while Read runs, and mu guards what both use. A chunk that is read ahead has a goroutine of its own,
// which ends with its call of the store: it sends into a buffered channel, so it does not wait for a reader that has gone.
type ChunkReader struct {
	*stored.Chunks
	durable   *Store
	entry     *stored.Entry
	request   *http.Request     // the caller's
	Origin    http.RoundTripper // nil if the body cannot go on from there
	next, end int64             // the section that is still to be read

	proof stream.Proof // of what was handed out from the beginning on, where no strong tag could prove that another answer is the same

	rest    []byte // of the chunk that was read last
	err     error
	pending chan fetched // the chunk that is being read, or nil

	mu     sync.Mutex    // guards the fields below: Close may come while Read runs
	tail   io.ReadCloser // the rest from the origin, or nil
	closed bool
}

// OpenBody returns a reader of a body that is in chunks.
func (d *Store) OpenBody(e *stored.Entry, r *http.Request) io.ReadCloser {
	p := e.Body.Chunks
	return &ChunkReader{Chunks: p, durable: d, entry: e, request: r, end: p.Size}
}

// fetched is what came of reading a chunk.
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

// state returns what Close may change while Read runs.
func (r *ChunkReader) state() (tail io.Reader, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tail != nil {
		tail = r.tail
	}
	return tail, r.closed
}

// section returns the next bytes of the section, and begins to read those after them.
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
	if r.next == 0 && !r.entry.Etag().Strong() {
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

// fetched returns a chunk: one that was read ahead, or one that is read now.
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
		f.bytes, f.err = r.durable.chunk(ctx, r.Chunks, n) // the fault may have passed
	}
	return f.bytes, f.err
}

// Missing reports whether a body has been lost for good.
func Missing(err error) bool { return errors.Is(err, ErrGone) || errors.Is(err, ErrDamaged) }

// readAhead begins to read a chunk. That takes no longer than a call of the store may.
func (r *ChunkReader) readAhead(n int64) {
	ahead := make(chan fetched, 1)
	r.pending = ahead
	ctx := r.request.Context()
	go func() {
		bytes, err := r.durable.chunk(ctx, r.Chunks, n)
		ahead <- fetched{bytes, err}
	}()
}

// continueFromOrigin reads on from the origin. If Close comes while the origin is asked, its body is closed here:
//
//	Read: asks the origin   Close: finds no tail, sets closed   Read: sets tail, finds closed, closes the tail
func (r *ChunkReader) continueFromOrigin(p []byte) (int, error) {
	ctx := r.request.Context()
	if ctx.Err() != nil {
		r.err = context.Cause(ctx)
		return 0, r.err
	}
	if Missing(r.err) {
		r.durable.Forget(r.entry.RecordKey(), r.ID)
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

// continuation says what the origin is asked for: what is missing of the section. For a stored part, offsets are those in the whole representation.
func (r *ChunkReader) continuation() *stream.Continuation {
	c := &stream.Continuation{
		Next: r.Origin, Request: r.request, Status: r.entry.Status, Header: r.entry.Header.Map(),
		Length: r.Size, Uncompressed: r.entry.Uncompressed, Offset: r.next, End: -1, Prefix: r.proof,
	}
	if part := r.entry.Part; part != nil {
		c.Status, c.Length, c.Offset, c.End = http.StatusOK, part.Complete, part.First+r.next, part.First+r.end
		if part.First > 0 {
			c.Prefix = nil // it is not of the representation's first bytes
		}
	} else if r.end < r.Size {
		c.End = r.end
	}
	return c
}

// Close ends the reading, and closes the origin's body.
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

// ResumeFrom has a body that is read from a store go on from next if it must. It is read for r, which may be another request than the one
// that the response was made for. It must not be called after the first Read.
func ResumeFrom(body io.Reader, r *http.Request, next http.RoundTripper) {
	if body, ok := body.(*ChunkReader); ok {
		body.request, body.Origin = Outliving(r), next
	}
}
