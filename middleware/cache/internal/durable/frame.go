package durable

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"strings"

	"github.com/plyhttp/ply/store"
)

// Records that a cache puts into a store begin alike, in all versions of their format:
//
//	magic    3 bytes  "ply"
//	kind     1 byte   E, B, M, S or L; see the files that write them
//	version  1 byte
//	checksum 4 bytes  CRC-32C of all other bytes, little-endian
//
// So a record that a later version of this module has written can be told from a damaged one. It is a miss, and stays as it is.
const (
	frameBytes    = 9
	recordVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrDamaged is the error for a record that does not have the bytes that were put.
	ErrDamaged = errors.New("the store returned a damaged record")

	// ErrNewer is the error for a record that a later version of this module has written.
	ErrNewer = errors.New("a later version of this module has written the record")
)

// newerRecord stands for a record that the store itself cannot read, because a later version of the store has written it. Nothing replaces it.
var newerRecord = func() store.Record {
	data := Framed(nil)
	copy(data, "ply")
	data[4] = recordVersion + 1
	binary.LittleEndian.PutUint32(data[5:], Checksum(data))
	return store.Record{Data: data, Version: "newer"}
}()

// Framed appends room for a frame.
func Framed(dst []byte) []byte { return append(dst, make([]byte, frameBytes)...) }

// Seal fills in the frame of a record.
func Seal(record []byte, kind byte) []byte {
	copy(record, "ply")
	record[3], record[4] = kind, recordVersion
	binary.LittleEndian.PutUint32(record[5:], Checksum(record))
	return record
}

// Unseal returns what follows the frame.
func Unseal(record []byte, kind byte) ([]byte, error) {
	switch {
	case len(record) < frameBytes || string(record[:3]) != "ply", binary.LittleEndian.Uint32(record[5:]) != Checksum(record):
		return nil, ErrDamaged
	case record[4] > recordVersion:
		return nil, ErrNewer // of any kind
	case record[4] < recordVersion || record[3] != kind: // there is no earlier version
		return nil, ErrDamaged
	}
	return record[frameBytes:], nil
}

// Checksum is the checksum of a framed record.
func Checksum(record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, record[:5])
	return crc32.Update(sum, castagnoli, record[frameBytes:])
}

// AppendText appends the length of s, and s.
func AppendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// A Wire is what is still to be read of a record. What does not fit makes it Bad, and all further reads return nothing.
// Strings share its bytes: reading allocates nothing.
type Wire struct {
	Rest string
	Bad  bool
}

func (w *Wire) fail() { w.Rest, w.Bad = "", true }

// take returns the next n bytes.
func (w *Wire) take(n int) string {
	if n < 0 || n > len(w.Rest) {
		w.fail()
		return ""
	}
	s := w.Rest[:n]
	w.Rest = w.Rest[n:]
	return s
}

// Byte reads a byte.
func (w *Wire) Byte() byte {
	if s := w.take(1); s != "" {
		return s[0]
	}
	return 0
}

// uint reads a number in its shortest form: a record can be written in one way only.
func (w *Wire) uint() uint64 {
	var n uint64
	for i := 0; i < len(w.Rest) && i < binary.MaxVarintLen64; i++ {
		c := w.Rest[i]
		if i == 9 && c > 1 || c == 0 && i > 0 {
			break
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			w.Rest = w.Rest[i+1:]
			return n
		}
	}
	w.fail()
	return 0
}

// int reads a number that may be negative.
func (w *Wire) int() int64 {
	n := w.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// size reads a number that is not negative as an int64.
func (w *Wire) size() int64 {
	n := w.uint()
	if bits.Len64(n) > 62 {
		w.fail()
		return 0
	}
	return int64(n)
}

// text reads a length and a string.
func (w *Wire) text() string {
	n := w.uint()
	if n > uint64(len(w.Rest)) {
		w.fail()
		return ""
	}
	return w.take(int(n))
}

// count reads how many items of at least so many bytes follow.
func (w *Wire) count(bytes int) int {
	n := w.uint()
	if n > uint64(len(w.Rest)/bytes) {
		w.fail()
		return 0
	}
	return int(n)
}

// line reads a string without the bytes that would end a line of a header or a C string.
func (w *Wire) line() string {
	s := w.text()
	if strings.ContainsAny(s, "\r\n\x00") {
		w.fail()
	}
	return s
}
