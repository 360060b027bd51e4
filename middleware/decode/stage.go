package decode

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// source is what a decoder reads from. It keeps the error with which its reader ended, which decoders wrap, rename, or take for the end of a frame.
type source struct {
	r      io.Reader
	closer io.Closer    // of the innermost source
	n      atomic.Int64 // bytes read
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.n.Add(int64(n))
	s.err = err
	return n, err
}

// broken returns the error of the reader, unless it has come to its end or not yet to any.
func (s *source) broken() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// stage removes one coding.
type stage struct {
	coding  string
	in      *source
	wire    *source // of the innermost stage, where the bytes of the server arrive
	limits  limits
	pool    *sync.Pool
	dec     decoder // of pool
	started bool
	out     int64
	err     error // of the decoder, to be returned with the next Read
}

func newStage(coding string, in, wire *source, l limits, pool *sync.Pool) *stage {
	return &stage{coding: coding, in: in, wire: wire, limits: l, pool: pool, dec: pool.Get().(decoder)}
}

// release puts the decoder back. The stage cannot be used any more.
func (s *stage) release() {
	s.dec.release()
	s.pool.Put(s.dec)
	s.dec = nil
}

// maxIdleReads is how often in a row a decoder may return nothing at all.
const maxIdleReads = 100

// Read returns what has been decoded as soon as there is any of it. So the end, or an error, comes with a Read of its own:
// to find out about it may take waiting for the server.
func (s *stage) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if !s.started {
		s.started = true
		if s.err = s.outcome(s.dec.start(s.in)); s.err != nil {
			return 0, s.err
		}
	}
	for idle := 0; idle < maxIdleReads; {
		n, err := s.dec.Read(p)
		switch {
		case n > 0:
		case err == nil:
			idle++
			continue
		case err == io.EOF:
			if err = s.dec.next(); err == nil {
				continue
			}
		}
		if n, s.err = s.bounded(n); s.err != nil {
			return n, s.err
		}
		if n == 0 || err != io.EOF {
			s.err = s.outcome(err)
		}
		if n > 0 {
			return n, nil
		}
		return 0, s.err
	}
	s.err = io.ErrNoProgress
	return 0, s.err
}

// outcome names an error of the decoder. That of what it reads from comes first, and as it is.
func (s *stage) outcome(err error) error {
	if err == nil {
		return nil
	}
	if broken := s.in.broken(); broken != nil {
		return broken
	}
	if err == io.EOF {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
	}
	return &ContentError{s.coding, err}
}

// freeBytes is how much any content may become, whatever the ratio: much of a little is what codings are for.
const freeBytes = 16 << 20

// bounded counts n more bytes of output. It returns how many of them are within the limits, and an error if not all are.
func (s *stage) bounded(n int) (int, error) {
	s.out += int64(n)
	l := s.limits
	if over := s.out - l.maxBytes; l.maxBytes > 0 && over > 0 {
		return n - int(over), &LimitError{MaxBytes: l.maxBytes, Coding: s.coding, Encoded: s.wire.n.Load()}
	}
	if l.maxRatio > 0 && s.out > freeBytes && s.out/int64(l.maxRatio) > s.wire.n.Load() {
		return 0, &LimitError{MaxRatio: l.maxRatio, Coding: s.coding, Encoded: s.wire.n.Load()}
	}
	return n, nil
}

// pools have idle decoders by coding. Each handler has its own: a decoder of zstd has a channel,
// which belongs to the bubble of testing/synctest that it was made in.
type pools map[string]*sync.Pool

func newPools() pools {
	return pools{
		Brotli:  {New: func() any { return newBrotliDecoder() }},
		Zstd:    {New: func() any { return newZstdDecoder() }},
		Gzip:    {New: func() any { return newGzipDecoder() }},
		Deflate: {New: func() any { return newDeflateDecoder() }},
	}
}
