// Package storeline has the line that begins the value of a record in stores which keep strings and cannot say anything else about them.
package storeline

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

const (
	magic    = "ply1 "
	maxLabel = 300  // bytes
	maxHead  = 1024 // bytes, the line's end included
)

const (
	// MaxOverhead is what a line has at most, in bytes.
	MaxOverhead = maxHead

	// MaxChunks bounds what a line that others wrote can have its reader ask for.
	MaxChunks = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Line begins a value, and the data follows it, or nothing if the data is in chunks, which have names of their own:
//
//	ply1 CCCCCCCC VERSION GENERATION EEEEEEEEEEEEEEE KIND SIZE CHUNK owner=KEY key=KEY label=TEXT\n
//
// C is the CRC-32C of the data and of the line behind it, E the end in milliseconds since 1970. SIZE is how long the data is, and CHUNK how long each chunk of it,
// but for the last one; 0 stands for none. The line has the key because nothing else says that the value was put under this name.
type Line struct {
	Version    string
	Generation string // of all records of a store, which its Clear changes; neither is empty, nor has a space
	Expires    int64  // in milliseconds; 0 is never
	Kind       store.Kind
	Size       int
	Chunk      int // 0 if the data follows the line
	Owner      string
	Key        string
	Label      string

	sum uint32 // as it was read
}

// New returns the line of a record with a version of its own.
func New(key, version, generation string, r store.Record) Line {
	l := Line{Version: version, Generation: generation, Kind: r.Kind, Size: len(r.Data), Owner: r.Owner, Key: key, Label: storetext.Label(r.Label, maxLabel)}
	if !r.Expires.IsZero() {
		l.Expires = min(max(r.Expires.UnixMilli(), 1), 999_999_999_999_999)
	}
	return l
}

// Sum returns the CRC-32C of data, which Encode wants.
func Sum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// rest is the line behind the sum.
func (l Line) rest() []byte {
	return fmt.Appendf(make([]byte, 0, 200+len(l.Owner)+len(l.Key)+len(l.Label)), "%s %s %015d %s %d %d owner=%s key=%s label=%s\n",
		l.Version, l.Generation, l.Expires, kindName(l.Kind), l.Size, l.Chunk, l.Owner, l.Key, l.Label)
}

// Encode returns the line. dataSum is the CRC-32C of the data.
func (l Line) Encode(dataSum uint32) []byte {
	rest := l.rest()
	line := fmt.Appendf(make([]byte, 0, len(magic)+9+len(rest)), "%s%08x ", magic, crc32.Update(dataSum, castagnoli, rest))
	return append(line, rest...)
}

// Decode reads the line of a value, and returns what follows it. It fails for what Encode did not make.
func Decode(value []byte) (l Line, data []byte, ok bool) {
	line, _, found := bytes.Cut(value[:min(len(value), maxHead)], []byte("\n"))
	data = value[min(len(line)+1, len(value)):]
	text, ours := strings.CutPrefix(string(line), magic)
	fields := strings.SplitN(text, " ", 10)
	if !found || !ours || len(fields) != 10 || len(fields[0]) != 8 || fields[1] == "" || fields[2] == "" {
		return Line{}, nil, false
	}
	var failed bool
	number := func(text string, bits int) uint64 {
		n, err := strconv.ParseUint(text, 10, bits)
		failed = failed || err != nil
		return n
	}
	named := func(text, name string) string {
		value, ok := strings.CutPrefix(text, name)
		failed = failed || !ok
		return value
	}
	sum, err := strconv.ParseUint(fields[0], 16, 32)
	kind, isKind := kindOf(fields[4])
	l = Line{
		sum: uint32(sum), Version: fields[1], Generation: fields[2], Expires: int64(number(fields[3], 63)), Kind: kind,
		Size: int(number(fields[5], 31)), Chunk: int(number(fields[6], 31)),
		Owner: named(fields[7], "owner="), Key: named(fields[8], "key="), Label: named(fields[9], "label="),
	}
	if failed || err != nil || !isKind || !l.precedes(len(data)) {
		return Line{}, nil, false
	}
	return l, data, true
}

// precedes reports whether so many bytes can follow the line: all of them, or none if they are in chunks.
func (l Line) precedes(data int) bool {
	switch {
	case l.Size == 0, l.Chunks() > MaxChunks:
		return false
	case l.Chunk == 0:
		return data == l.Size
	}
	return data == 0
}

// Proves reports whether this is the data that the record was put with.
func (l Line) Proves(data []byte) bool {
	return len(data) == l.Size && crc32.Update(crc32.Checksum(data, castagnoli), castagnoli, l.rest()) == l.sum
}

// Chunks is the number of chunks.
func (l Line) Chunks() int {
	if l.Chunk == 0 {
		return 0
	}
	return (l.Size + l.Chunk - 1) / l.Chunk
}

// Over reports whether the record's time is over at now.
func (l Line) Over(now time.Time) bool { return l.Expires != 0 && l.Expires <= now.UnixMilli() }

// Record returns the record. It owns data from now on.
func (l Line) Record(data []byte) store.Record {
	r := store.Record{Data: data, Version: l.Version, Kind: l.Kind, Owner: l.Owner}
	if l.Expires != 0 {
		r.Expires = time.UnixMilli(l.Expires)
	}
	return r
}

// IsNewer reports whether a later version of the code wrote the value: it begins with "ply2 " and so on.
func IsNewer(value []byte) bool {
	return len(value) > 4 && string(value[:3]) == "ply" && value[3] > '1' && value[3] <= '9' && value[4] == ' '
}

func kindName(k store.Kind) string {
	if k == 0 || k > store.KindSetup {
		return strconv.Itoa(int(k))
	}
	return k.String()
}

func kindOf(name string) (store.Kind, bool) {
	for k := store.KindEntry; k <= store.KindSetup; k++ {
		if name == k.String() {
			return k, true
		}
	}
	n, err := strconv.ParseUint(name, 10, 8)
	return store.Kind(n), err == nil
}

// CheckRecord returns an error if a store cannot take the record, apart from its size.
func CheckRecord(pkg, key string, r store.Record) error {
	if err := storetext.CheckKey(pkg, key); err != nil {
		return err
	}
	if r.Owner != "" && !storetext.ValidKey(r.Owner) {
		return fmt.Errorf("%s: the owner %.140q is not a key", pkg, r.Owner)
	}
	if len(r.Data) == 0 {
		return fmt.Errorf("%s: a record has at least one byte", pkg)
	}
	return nil
}
