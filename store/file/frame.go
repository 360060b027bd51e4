package file

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/plyhttp/ply/store"
)

// A file is a head of fixed length, the key, the owner, the label, and the data, without anything between them or behind:
//
//	 0  "plyf"
//	 4  format version      1 byte
//	 5  kind                1 byte
//	 6  length of key       2 bytes, little endian as all numbers
//	 8  length of owner     2 bytes
//	10  length of label     2 bytes
//	12  length of data      8 bytes
//	20  expires             8 bytes, milliseconds since 1970, 0 for never
//	28  version            16 bytes, random
//	44  CRC-32C of the data
//	48  CRC-32C of everything before it, and of key, owner and label
const (
	magic         = "plyf"
	formatVersion = 1
	headSize      = 52
	versionSize   = 16
	maxName       = math.MaxUint16
	maxLabel      = 1 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what a file says about its record.
type head struct {
	kind    store.Kind
	key     string
	owner   string
	expires int64
	version string
	data    int64  // how many bytes
	sum     uint32 // of the data
	size    int64  // of the file
}

var errCorrupt = errors.New("file: not a whole record")

func (h *head) expired(now time.Time) bool { return h.expires != 0 && h.expires <= now.UnixMilli() }

// encode returns the file for a record, under a new version.
func encode(key string, r store.Record) ([]byte, error) {
	if len(key) == 0 || len(key) > maxName || len(r.Owner) > maxName {
		return nil, fmt.Errorf("file: a key of %d bytes with an owner of %d bytes cannot be stored", len(key), len(r.Owner))
	}
	label := r.Label[:min(len(r.Label), maxLabel)]
	names := len(key) + len(r.Owner) + len(label)
	b := make([]byte, headSize, headSize+names+len(r.Data))
	copy(b, magic)
	b[4], b[5] = formatVersion, byte(r.Kind)
	le := binary.LittleEndian
	le.PutUint16(b[6:], uint16(len(key)))
	le.PutUint16(b[8:], uint16(len(r.Owner)))
	le.PutUint16(b[10:], uint16(len(label)))
	le.PutUint64(b[12:], uint64(len(r.Data)))
	le.PutUint64(b[20:], uint64(millis(r.Expires)))
	rand.Read(b[28 : 28+versionSize])
	le.PutUint32(b[44:], crc32.Checksum(r.Data, castagnoli))
	b = append(append(append(b, key...), r.Owner...), label...)
	le.PutUint32(b[48:], headSum(b))
	return append(b, r.Data...), nil
}

// headSum is over the head and the names, but not over itself.
func headSum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:48]), castagnoli, b[headSize:])
}

// dueOfFile is dueOf for a file that encode has made, which is about to be written. The clock that stamps files may be a little behind.
func dueOfFile(b []byte) int64 {
	le := binary.LittleEndian
	return dueOf(int64(le.Uint64(b[20:])), le.Uint16(b[8:]) > 0, time.Now().Add(-time.Minute))
}

// millis returns t in the format's unit: 0 stands for never, and no time becomes it.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.UnixMilli())
}

// lengths returns how many bytes key, owner and label take, if b begins like a record in a file of this size.
func lengths(b []byte, size int64) (names int, ok bool) {
	if len(b) < headSize || string(b[:4]) != magic || b[4] != formatVersion {
		return 0, false
	}
	le := binary.LittleEndian
	names = int(le.Uint16(b[6:])) + int(le.Uint16(b[8:])) + int(le.Uint16(b[10:]))
	data := le.Uint64(b[12:])
	return names, data < 1<<48 && headSize+int64(names)+int64(data) == size
}

// isKind reports whether a file that begins with b is a record of this kind, if it is one at all: no checksum is looked at.
func isKind(b []byte, kind store.Kind) bool { return len(b) >= headSize && store.Kind(b[5]) == kind }

// decodeHead reads what precedes the data. b holds it all, and maybe more.
func decodeHead(b []byte, size int64) (head, error) { return decodeHeadOf(b, size, "") }

// decodeHeadOf is decodeHead for a caller who expects a key: it is not copied if it is the one.
func decodeHeadOf(b []byte, size int64, expected string) (head, error) {
	names, ok := lengths(b, size)
	if !ok || len(b) < headSize+names {
		return head{}, errCorrupt
	}
	b = b[:headSize+names]
	le := binary.LittleEndian
	if le.Uint32(b[48:]) != headSum(b) {
		return head{}, errCorrupt
	}
	names = headSize + int(le.Uint16(b[6:]))
	key, owner := expected, b[names:names+int(le.Uint16(b[8:]))]
	if string(b[headSize:names]) != expected {
		key = string(b[headSize:names])
	}
	var version [2 * versionSize]byte
	hex.Encode(version[:], b[28:28+versionSize])
	return head{
		kind:    store.Kind(b[5]),
		key:     key,
		owner:   string(owner),
		expires: int64(le.Uint64(b[20:])),
		version: string(version[:]),
		data:    int64(le.Uint64(b[12:])),
		sum:     le.Uint32(b[44:]),
		size:    size,
	}, nil
}

// decode returns the record in a whole file. Its data is a part of b.
func decode(b []byte) (head, store.Record, error) { return decodeOf(b, "") }

// decodeOf is decode for a caller who expects a key.
func decodeOf(b []byte, expected string) (head, store.Record, error) {
	h, err := decodeHeadOf(b, int64(len(b)), expected)
	if err != nil {
		return head{}, store.Record{}, err
	}
	data := b[h.size-h.data:]
	if crc32.Checksum(data, castagnoli) != h.sum {
		return head{}, store.Record{}, errCorrupt
	}
	r := store.Record{Data: data[:len(data):len(data)], Version: h.version, Kind: h.kind, Owner: h.owner}
	if h.expires != 0 {
		r.Expires = time.UnixMilli(h.expires)
	}
	return h, r, nil
}
