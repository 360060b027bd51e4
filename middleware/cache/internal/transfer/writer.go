package transfer

import (
	"encoding/binary"
	"errors"
	"io"
)

// A Writer writes a stream. One goroutine uses it. Without [Writer.Close] the stream counts as cut off.
type Writer struct {
	frames  frameWriter
	piece   []byte
	entries uint64
}

// NewWriter begins a stream.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	s := &Writer{frames: frameWriter{w: w}}
	if err := s.frames.begin(); err != nil {
		return nil, err
	}
	return s, s.frames.write(headerFrame, h.append(nil))
}

// errSource wraps an error of what a body is read from.
type errSource struct{ error }

// BodyError returns the error if it is one of the body that was to be written, not of the stream.
func BodyError(err error) error {
	var source errSource
	if errors.As(err, &source) {
		return source.error
	}
	return nil
}

// Entry writes an entry, given as durable.EncodeEntry encodes it, with the bytes of its body.
// If body fails or has another size, the entry is void, and the stream may go on: [BodyError] says so of the error.
func (s *Writer) Entry(hash [32]byte, encoded []byte, size int64, body io.Reader) error {
	if err := s.frames.write(entryFrame, hash[:], encoded); err != nil {
		return err
	}
	if s.piece == nil && size > 0 {
		s.piece = make([]byte, pieceBytes)
	}
	for left := size; left > 0; {
		piece := s.piece[:min(left, pieceBytes)]
		if _, err := io.ReadFull(body, piece); err != nil {
			if failed := s.frames.write(abandonedFrame); failed != nil {
				return failed
			}
			return errSource{err}
		}
		if err := s.frames.write(pieceFrame, piece); err != nil {
			return err
		}
		left -= int64(len(piece))
	}
	s.entries++
	return nil
}

// Close writes the end. It does not close what the stream is written to.
func (s *Writer) Close() error {
	return s.frames.write(endFrame, binary.LittleEndian.AppendUint64(nil, s.entries))
}
