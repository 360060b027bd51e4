package stored

import (
	"encoding/binary"
	"math"
	"time"
)

// Pacing is when the pieces of an event stream came: for each, its size in bytes and the milliseconds since the one before it, as varints.
// The time of the first is since the header. It is empty for any other response.
type Pacing string

// MaxPieces bounds the pieces of a pacing.
const MaxPieces = 4096

// AppendPiece appends a piece.
func AppendPiece(dst []byte, size int64, after time.Duration) []byte {
	dst = binary.AppendUvarint(dst, uint64(size))
	return binary.AppendUvarint(dst, uint64(after/time.Millisecond))
}

// Next returns the first piece, and the rest. It is false at the end, and for what is no pacing.
func (p Pacing) Next() (size int64, after time.Duration, rest Pacing, ok bool) {
	n, p, ok := p.number()
	ms, p, alike := p.number()
	if !ok || !alike || n > math.MaxInt64 || time.Duration(ms) > Longest/time.Millisecond || ms > math.MaxInt64 {
		return 0, 0, "", false
	}
	return int64(n), time.Duration(ms) * time.Millisecond, p, true
}

// number reads a varint in its shortest form.
func (p Pacing) number() (uint64, Pacing, bool) {
	var n uint64
	for i := 0; i < len(p) && i < binary.MaxVarintLen64; i++ {
		c := p[i]
		if i == 9 && c > 1 || c == 0 && i > 0 {
			break
		}
		if n |= uint64(c&0x7f) << (7 * i); c < 0x80 {
			return n, p[i+1:], true
		}
	}
	return 0, "", false
}

// Duration is how long the stream took from its header to its last piece.
func (p Pacing) Duration() (sum time.Duration) {
	for {
		_, after, rest, ok := p.Next()
		if !ok {
			return sum
		}
		sum, p = sum+after, rest
	}
}

// Paces reports whether p is the pacing of a body of so many bytes: what a store returns may be anything.
func (p Pacing) Paces(size int64) bool {
	var took time.Duration
	for range MaxPieces {
		n, after, rest, ok := p.Next()
		if took += after; !ok || n == 0 || n > size || took > Longest {
			return false
		}
		if size, p = size-n, rest; p == "" {
			return size == 0
		}
	}
	return false
}
