package transfer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

const (
	magic   = "plycache"
	version = 1

	// pieceBytes is the size of all pieces of a body but the last.
	pieceBytes = 256 << 10

	// maxFrame bounds what a frame holds: the head of one entry.
	maxFrame = 1<<20 + 32

	frameHead = 5 // the kind, and the length
	frameTail = 4 // the checksum
)

// The kinds of frames.
const (
	headerFrame    = 'H'
	entryFrame     = 'E' // an entry without its body
	pieceFrame     = 'B' // the next bytes of the body
	abandonedFrame = 'X' // there is no more of the body: the entry is void
	endFrame       = 'Z'
)

var (
	// ErrNoStream is the error for what does not begin like a stream.
	ErrNoStream = errors.New("this is no export of a cache")

	// ErrNewer is the error for a stream that a later version of this module has written.
	ErrNewer = errors.New("a later version of this module has written the export: import it with that, or export in this version")

	// ErrTruncated is the error for a stream that ends too early.
	ErrTruncated = errors.New("the export ends too early: what came before is imported")

	// ErrDamaged is the error for a stream that does not hold what was written.
	ErrDamaged = errors.New("the export is damaged: what came before is imported")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chain continues the checksum of all frames so far.
func chain(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }

// frameWriter writes frames. Each ends with the checksum of everything before it, so none can be left out, come twice or change places.
type frameWriter struct {
	w   io.Writer
	sum uint32
}

func (f *frameWriter) begin() error {
	head := append([]byte(magic), version)
	f.sum = chain(0, head)
	_, err := f.w.Write(head)
	return err
}

func (f *frameWriter) write(kind byte, parts ...[]byte) error {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	var head [frameHead]byte
	head[0] = kind
	binary.LittleEndian.PutUint32(head[1:], uint32(length))
	for _, p := range append([][]byte{head[:]}, parts...) {
		f.sum = chain(f.sum, p)
		if _, err := f.w.Write(p); err != nil {
			return err
		}
	}
	_, err := f.w.Write(binary.LittleEndian.AppendUint32(nil, f.sum))
	return err
}

// frameReader reads frames, and no byte beyond them.
type frameReader struct {
	r      io.Reader
	sum    uint32
	buffer []byte
}

func (f *frameReader) begin() error {
	var head [len(magic) + 1]byte
	switch _, err := io.ReadFull(f.r, head[:]); {
	case err == io.EOF, err == io.ErrUnexpectedEOF && string(head[:len(magic)]) != magic[:]:
		return ErrNoStream
	case err != nil:
		return cut(err)
	case string(head[:len(magic)]) != magic:
		return ErrNoStream
	case head[len(magic)] > version:
		return ErrNewer
	case head[len(magic)] < version: // there is no earlier one
		return ErrDamaged
	}
	f.sum = chain(0, head[:])
	return nil
}

// read returns the next frame. Its bytes hold until the next call.
func (f *frameReader) read() (kind byte, payload []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, cut(err)
	}
	length := binary.LittleEndian.Uint32(head[1:])
	if length > maxFrame {
		return 0, nil, ErrDamaged
	}
	if err := f.fill(int(length) + frameTail); err != nil {
		return 0, nil, err
	}
	payload = f.buffer[:length]
	f.sum = chain(chain(f.sum, head[:]), payload)
	if binary.LittleEndian.Uint32(f.buffer[length:]) != f.sum {
		return 0, nil, ErrDamaged
	}
	return head[0], payload, nil
}

// fill reads so many bytes into the buffer, which grows only as they come.
func (f *frameReader) fill(n int) error {
	const step = 64 << 10
	have := 0
	f.buffer = f.buffer[:0]
	for have < n {
		next := min(n, max(have+step, cap(f.buffer)))
		if next > cap(f.buffer) {
			grown := make([]byte, have, min(max(next, 2*have), maxFrame+frameTail))
			copy(grown, f.buffer)
			f.buffer = grown
		}
		f.buffer = f.buffer[:next]
		if _, err := io.ReadFull(f.r, f.buffer[have:]); err != nil {
			return cut(err)
		}
		have = next
	}
	return nil
}

// cut is the error for a stream that ends where something must follow, or whose reader fails.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}
