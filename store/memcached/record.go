package memcached

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/plyhttp/ply/store"
)

// A value under the name of a record is one line of text and then the data, or nothing if the data is in chunks:
//
//	ply1 CCCCCCCC VERSION GENERATION EEEEEEEEEEEEEEE KIND SIZE CHUNK owner=KEY key=KEY label=TEXT\n
//
// C is the CRC-32C of the data and of the line behind it, E the end in milliseconds since 1970. SIZE is how long the data is, and CHUNK how long each chunk of it,
// but for the last one; 0 stands for none. The line has the key because nothing else says that the value was put under this name.
const (
	magic    = "ply1 "
	maxLabel = 300  // bytes
	maxHead  = 1024 // bytes, the line's end included
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is the line.
type head struct {
	sum        uint32
	version    string
	generation string // of the namespace, which Clear changes
	expires    int64  // in milliseconds; 0 is never
	kind       store.Kind
	size       int
	chunk      int // 0 if the data follows the line
	owner      string
	key        string
	label      string
}

// rest is the line behind the sum.
func (h head) rest() []byte {
	return fmt.Appendf(make([]byte, 0, 200+len(h.owner)+len(h.key)+len(h.label)), "%s %s %015d %s %d %d owner=%s key=%s label=%s\n",
		h.version, h.generation, h.expires, kindName(h.kind), h.size, h.chunk, h.owner, h.key, h.label)
}

// encode returns the line. dataSum is the CRC-32C of the data.
func (h head) encode(dataSum uint32) []byte {
	rest := h.rest()
	line := fmt.Appendf(make([]byte, 0, len(magic)+9+len(rest)), "%s%08x ", magic, crc32.Update(dataSum, castagnoli, rest))
	return append(line, rest...)
}

// decode reads the line of a value, and returns what follows it. It fails for what encode did not make.
func decode(value []byte) (h head, data []byte, ok bool) {
	line, _, found := bytes.Cut(value[:min(len(value), maxHead)], []byte("\n"))
	data = value[min(len(line)+1, len(value)):]
	text, ours := strings.CutPrefix(string(line), magic)
	fields := strings.SplitN(text, " ", 10)
	if !found || !ours || len(fields) != 10 || len(fields[0]) != 8 || fields[1] == "" || fields[2] == "" {
		return head{}, nil, false
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
	h = head{
		sum: uint32(sum), version: fields[1], generation: fields[2], expires: int64(number(fields[3], 63)), kind: kind,
		size: int(number(fields[5], 31)), chunk: int(number(fields[6], 31)),
		owner: named(fields[7], "owner="), key: named(fields[8], "key="), label: named(fields[9], "label="),
	}
	if failed || err != nil || !isKind || h.size == 0 || h.chunk == 0 && len(data) != h.size || h.chunk != 0 && len(data) != 0 {
		return head{}, nil, false
	}
	return h, data, true
}

// proves reports whether this is the data that the record was put with.
func (h head) proves(data []byte) bool {
	return len(data) == h.size && crc32.Update(crc32.Checksum(data, castagnoli), castagnoli, h.rest()) == h.sum
}

// chunks is the number of chunks.
func (h head) chunks() int {
	if h.chunk == 0 {
		return 0
	}
	return (h.size + h.chunk - 1) / h.chunk
}

func (h head) over(now time.Time) bool { return h.expires != 0 && h.expires <= now.UnixMilli() }

// record returns the record. It owns data from now on.
func (h head) record(data []byte) store.Record {
	r := store.Record{Data: data, Version: h.version, Kind: h.kind, Owner: h.owner}
	if h.expires != 0 {
		r.Expires = time.UnixMilli(h.expires)
	}
	return r
}

// isNewer reports whether a later version of this package wrote the value: it begins with "ply2 " and so on.
func isNewer(value []byte) bool {
	return len(value) > 4 && string(value[:3]) == "ply" && value[3] > '1' && value[3] <= '9' && value[4] == ' '
}

// milliseconds returns a time as a line has it.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return min(max(t.UnixMilli(), 1), 999_999_999_999_999)
}

const (
	atOnce       = -1                  // the server drops the item
	longestDelta = 30 * 24 * time.Hour // beyond it the protocol wants the time, not the difference
)

// exptime returns a time to live as the protocol has it, rounded up: in seconds up to 30 days, and as a time since 1970 beyond. 0 is never, and stands for what cannot be said.
// The server's clock ticks once a second, so the server keeps the item up to two seconds longer; the line says when it is over.
func exptime(expires, now time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	if left := expires.Sub(now); left <= longestDelta-2*time.Second {
		return int64((max(left, 0)+time.Second-1)/time.Second) + 1
	}
	if at := expires.Unix() + 2; at <= math.MaxInt32 {
		return at
	}
	return 0
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

// label returns a text as it can stand in a line.
func label(text string) string {
	text = text[:min(len(text), maxLabel)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// validKey reports whether a store takes the key.
func validKey(key string) bool {
	if len(key) == 0 || len(key) > 128 {
		return false
	}
	for _, b := range []byte(key) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '.' && b != ':' && b != '-' {
			return false
		}
	}
	return true
}

func checkKey(key string) error {
	if !validKey(key) {
		return fmt.Errorf("memcached: the key %.140q is not 1 to 128 of the characters A-Z a-z 0-9 _ . : -", key)
	}
	return nil
}
