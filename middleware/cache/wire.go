package cache

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
	// errDamaged is what a record is that has not the bytes that were put, or was made up.
	errDamaged = errors.New("the store returned a damaged record")

	// errNewer is what a record is that a later version of this module has written.
	errNewer = errors.New("a later version of this module has written the record")
)

// newerRecord stands for a record that the store itself cannot read, because a later version of it has written that. It is replaced by nothing.
var newerRecord = func() store.Record {
	data := framed(nil)
	copy(data, "ply")
	data[4] = recordVersion + 1
	binary.LittleEndian.PutUint32(data[5:], checksum(data))
	return store.Record{Data: data, Version: "newer"}
}()

// framed appends room for a frame.
func framed(dst []byte) []byte { return append(dst, make([]byte, frameBytes)...) }

// seal fills in the frame of a record.
func seal(record []byte, kind byte) []byte {
	copy(record, "ply")
	record[3], record[4] = kind, recordVersion
	binary.LittleEndian.PutUint32(record[5:], checksum(record))
	return record
}

// unseal returns what is in the frame.
func unseal(record []byte, kind byte) ([]byte, error) {
	switch {
	case len(record) < frameBytes || string(record[:3]) != "ply", binary.LittleEndian.Uint32(record[5:]) != checksum(record):
		return nil, errDamaged
	case record[4] > recordVersion:
		return nil, errNewer // of whatever kind
	case record[4] < recordVersion || record[3] != kind: // there is no earlier version
		return nil, errDamaged
	}
	return record[frameBytes:], nil
}

func checksum(record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, record[:5])
	return crc32.Update(sum, castagnoli, record[frameBytes:])
}

// appendText appends s behind its length.
func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// A wire is read from its beginning to its end. What does not fit makes it bad, and all further reads return nothing.
// Strings are parts of the text: reading allocates nothing.
type wire struct {
	rest string
	bad  bool
}

func (w *wire) fail() { w.rest, w.bad = "", true }

// take returns the next n bytes.
func (w *wire) take(n int) string {
	if n < 0 || n > len(w.rest) {
		w.fail()
		return ""
	}
	s := w.rest[:n]
	w.rest = w.rest[n:]
	return s
}

func (w *wire) byte() byte {
	if s := w.take(1); s != "" {
		return s[0]
	}
	return 0
}

// uint reads a number in its shortest form: a record can be written in one way only.
func (w *wire) uint() uint64 {
	var n uint64
	for i := 0; i < len(w.rest) && i < binary.MaxVarintLen64; i++ {
		c := w.rest[i]
		if i == 9 && c > 1 || c == 0 && i > 0 {
			break
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			w.rest = w.rest[i+1:]
			return n
		}
	}
	w.fail()
	return 0
}

// int reads a number that may be negative.
func (w *wire) int() int64 {
	n := w.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// size reads a number that is not negative as an int64.
func (w *wire) size() int64 {
	n := w.uint()
	if bits.Len64(n) > 62 {
		w.fail()
		return 0
	}
	return int64(n)
}

// text reads a string behind its length.
func (w *wire) text() string {
	n := w.uint()
	if n > uint64(len(w.rest)) {
		w.fail()
		return ""
	}
	return w.take(int(n))
}

// count reads how many items of at least so many bytes follow.
func (w *wire) count(bytes int) int {
	n := w.uint()
	if n > uint64(len(w.rest)/bytes) {
		w.fail()
		return 0
	}
	return int(n)
}

// line reads a string without the bytes that would end a line of a header or a C string.
func (w *wire) line() string {
	s := w.text()
	if strings.ContainsAny(s, "\r\n\x00") {
		w.fail()
	}
	return s
}
