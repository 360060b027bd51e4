package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// pieceReader reads a body from a store piece by piece, one of them ahead. A piece that is missing or damaged is made good by the origin,
// if it can be proved to send the rest of the same representation: by a strong tag, or because it begins with the same bytes.
type pieceReader struct {
	*pieces
	entry     *Entry
	request   *http.Request     // the caller's
	origin    http.RoundTripper // nil if there is none to go on from
	next, end int64             // the section that is still to be read

	proof proof // of what has been handed out from the beginning on, where no tag could tell that another answer is the same

	rest  []byte // of the piece that has been read
	err   error
	ahead chan fetched // the piece that is being read, or nil

	mu     sync.Mutex    // guards the fields below: Close may come while Read runs
	tail   io.ReadCloser // the rest from the origin, or nil
	closed bool
}

// fetched is what came of reading a piece.
type fetched struct {
	bytes []byte
	err   error
}

// narrow leaves a section of the body.
func (r *pieceReader) narrow(first, size int64) { r.next, r.end = first, first+size }

func (r *pieceReader) Read(p []byte) (int, error) {
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
			return r.goOn(p)
		}
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *pieceReader) state() (tail io.Reader, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tail != nil {
		tail = r.tail
	}
	return tail, r.closed
}

// section returns the next bytes of the section, and begins to read those behind them.
func (r *pieceReader) section() ([]byte, error) {
	if r.next >= r.end {
		return nil, io.EOF
	}
	n := r.next / pieceBytes
	bytes, err := r.fetched(n)
	if err != nil {
		return nil, err
	}
	start := n * pieceBytes
	section := bytes[r.next-start : min(r.end-start, int64(len(bytes)))]
	if r.next == 0 && !r.entry.etag.Strong() {
		r.proof = newProof()
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
func (r *pieceReader) fetched(n int64) ([]byte, error) {
	if r.head != nil && n == r.at {
		return r.head, nil
	}
	ctx := r.request.Context()
	var f fetched
	if r.ahead != nil {
		f, r.ahead = <-r.ahead, nil
	} else {
		f.bytes, f.err = r.piece(ctx, n)
	}
	if f.err != nil && !missing(f.err) && ctx.Err() == nil {
		f.bytes, f.err = r.piece(ctx, n) // it may have been a moment's trouble
	}
	return f.bytes, f.err
}

// missing tells whether a body has been lost for good.
func missing(err error) bool { return errors.Is(err, errGone) || errors.Is(err, errDamaged) }

// readAhead begins to read a piece. That takes no longer than a call of the store may.
func (r *pieceReader) readAhead(n int64) {
	ahead := make(chan fetched, 1)
	r.ahead = ahead
	ctx := r.request.Context()
	go func() {
		bytes, err := r.piece(ctx, n)
		ahead <- fetched{bytes, err}
	}()
}

// goOn reads on from the origin.
func (r *pieceReader) goOn(p []byte) (int, error) {
	ctx := r.request.Context()
	if ctx.Err() != nil {
		r.err = context.Cause(ctx)
		return 0, r.err
	}
	if missing(r.err) {
		r.from.forget(r.entry.at, r.id)
	}
	r.err = io.ErrUnexpectedEOF
	if r.origin == nil {
		return 0, r.err
	}
	rest, err := r.continuation().open()
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
func (r *pieceReader) continuation() *continuation {
	c := &continuation{
		next: r.origin, request: r.request, status: r.entry.status, header: r.entry.header,
		length: r.size, uncompressed: r.entry.uncompressed, offset: r.next, end: -1, prefix: r.proof,
	}
	if part := r.entry.part; part != nil {
		c.status, c.length, c.offset, c.end = http.StatusOK, part.complete, part.first+r.next, part.first+r.end
		if part.first > 0 {
			c.prefix = nil // it is of bytes in the midst
		}
	} else if r.end < r.size {
		c.end = r.end
	}
	return c
}

// Close ends the reading.
func (r *pieceReader) Close() error {
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

// goesOn has a body that is read from a store go on from the origin if it must. The caller may be another one than the one
// for whose request the response was made.
func goesOn(resp *http.Response, r *http.Request, next http.RoundTripper) {
	if body, ok := resp.Body.(*pieceReader); ok {
		body.request, body.origin = outliving(r), next
	}
}
