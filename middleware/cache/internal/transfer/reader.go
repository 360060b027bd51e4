package transfer

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// A Reader reads a stream. One goroutine uses it. It reads no byte beyond the end of the stream.
type Reader struct {
	Header  Header
	frames  frameReader
	left    int64  // of the body that is being read
	rest    []byte // of the piece that was read last
	entries uint64
	err     error // why nothing more can be read
}

// ErrVoid is the error of a body that the writer of the stream could not read to its end.
var ErrVoid = errors.New("the body of the entry is not complete")

// NewReader begins to read a stream.
func NewReader(r io.Reader) (*Reader, error) {
	s := &Reader{frames: frameReader{r: r}}
	if err := s.frames.begin(); err != nil {
		return nil, err
	}
	kind, payload, err := s.frames.read()
	if err != nil {
		return nil, err
	}
	if kind != headerFrame {
		return nil, ErrDamaged
	}
	s.Header, err = parseHeader(payload)
	return s, err
}

// Next returns the next entry, whose body is to be read from Body, and the hash of its key. It skips what was not read of the body before.
// At the end of the stream, as it was written, the error is [io.EOF].
func (s *Reader) Next() (hash [32]byte, e *stored.Entry, err error) {
	if err := s.skip(); err != nil {
		return hash, nil, err
	}
	kind, payload, err := s.frames.read()
	if err != nil {
		return hash, nil, s.fail(err)
	}
	switch {
	case kind == endFrame && len(payload) == 8 && binary.LittleEndian.Uint64(payload) == s.entries:
		return hash, nil, s.fail(io.EOF)
	case kind != entryFrame || len(payload) < len(hash):
		return hash, nil, s.fail(ErrDamaged)
	}
	e, err = durable.DecodeEntry(payload[copy(hash[:], payload):])
	if err != nil {
		return hash, nil, s.fail(ErrDamaged)
	}
	if s.left = e.Body.Size(); s.left == 0 {
		s.entries++
	}
	return hash, e, nil
}

// skip reads what is left of a body. A void one is none.
func (s *Reader) skip() error {
	s.rest = nil
	for s.left > 0 && s.err == nil {
		if err := s.more(); err != nil && err != ErrVoid {
			return err
		}
	}
	s.rest = nil
	return s.err
}

// Body reads the body of the entry. Its error is [ErrVoid] for one that is not complete.
func (s *Reader) Body() io.Reader { return (*bodyReader)(s) }

type bodyReader Reader

func (b *bodyReader) Read(p []byte) (int, error) {
	s := (*Reader)(b)
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.rest) == 0 {
		if s.left == 0 || s.err != nil {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
		}
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// more reads the next piece of the body.
func (s *Reader) more() error {
	kind, payload, err := s.frames.read()
	switch {
	case err != nil:
		return s.fail(err)
	case kind == abandonedFrame && len(payload) == 0:
		s.left = 0
		return ErrVoid
	case kind != pieceFrame || int64(len(payload)) != min(s.left, pieceBytes):
		return s.fail(ErrDamaged)
	}
	s.rest = payload
	if s.left -= int64(len(payload)); s.left == 0 {
		s.entries++
	}
	return nil
}

func (s *Reader) fail(err error) error {
	s.err = err
	return err
}
