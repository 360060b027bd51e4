package s3

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// An object is one line of text and then the data:
//
//	ply1 HHHHHHHH nonce=NNNNNNNNNNNNNNNN expires=MILLISECONDS kind=1/entry size=BYTES sum=DDDDDDDD owner=KEY key=KEY label=TEXT\n
//
// H is the CRC-32C of the line after it, so that the line can be read alone, and D that of the data. expires is in milliseconds since 1970, 0 for never.
// The nonce is another one in each object that is written: two objects with the same content would have the same ETag, and could not be told apart.
// The line has the key because an object may turn up under another name, as a copy.
// An object without data says that its record was deleted.
const (
	magic    = "ply1 "
	maxLabel = 300  // bytes
	maxLine  = 1024 // bytes, its end included
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	lines      = regexp.MustCompile(`^nonce=([0-9a-f]{16}) expires=([0-9]{1,15}) kind=([0-9]{1,3})/[a-z]+ size=([0-9]{1,9}) sum=([0-9a-f]{8}) owner=([A-Za-z0-9_.:-]*) key=([A-Za-z0-9_.:-]+) label=`)
)

// newNonce returns a random number. That it was there before has a chance of 1 in 2^64.
func newNonce() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// encode returns the object of r. One without data says that the record was deleted.
func encode(key, nonce string, r store.Record) []byte {
	var line bytes.Buffer
	fmt.Fprintf(&line, "nonce=%s expires=%d kind=%d/%s size=%d sum=%08x owner=%s key=%s label=%s\n",
		nonce, millis(r.Expires), r.Kind, r.Kind, len(r.Data), crc32.Checksum(r.Data, castagnoli), r.Owner, key, storetext.Label(r.Label, maxLabel))
	value := make([]byte, 0, len(magic)+9+line.Len()+len(r.Data))
	value = fmt.Appendf(value, "%s%08x ", magic, crc32.Checksum(line.Bytes(), castagnoli))
	value = append(value, line.Bytes()...)
	return append(value, r.Data...)
}

// millis returns t as an object has it: 0 is the zero time, and all others are 1 at least.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return min(max(t.UnixMilli(), 1), 999_999_999_999_999)
}

// head is what the first line of an object says.
type head struct {
	nonce   string
	expires time.Time
	kind    store.Kind
	owner   string
	size    int64
	sum     uint32
	data    int // where the data begin
}

// A state is what an object is to the store.
type state int

const (
	absent  state = iota // there is no object
	foreign              // it is no record of this key, or damaged: as good as absent, and replaced
	newer                // a later version of this package has written it
	deleted              // it says that the record was deleted
	record
)

// parse reads the line that a value begins with.
func parse(key string, value []byte) (head, state) {
	if isNewer(value) {
		return head{}, newer
	}
	line, _, whole := bytes.Cut(value[:min(len(value), maxLine)], []byte("\n"))
	const sumAt, lineAt = len(magic), len(magic) + 9
	if !whole || len(line) < lineAt || string(line[:sumAt]) != magic || line[lineAt-1] != ' ' {
		return head{}, foreign
	}
	lineEnd := len(line) + 1
	m := lines.FindSubmatch(line[lineAt:])
	sum, err := strconv.ParseUint(string(line[sumAt:lineAt-1]), 16, 32)
	if m == nil || err != nil || uint32(sum) != crc32.Checksum(value[lineAt:lineEnd], castagnoli) || string(m[7]) != key {
		return head{}, foreign
	}
	h := head{nonce: string(m[1]), owner: string(m[6]), data: lineEnd}
	if ms := number(m[2]); ms != 0 {
		h.expires = time.UnixMilli(ms)
	}
	h.kind, h.size = store.Kind(number(m[3])), number(m[4])
	dataSum, _ := strconv.ParseUint(string(m[5]), 16, 32) // 8 hexadecimal digits, says the pattern
	h.sum = uint32(dataSum)
	if h.size == 0 {
		return h, deleted
	}
	return h, record
}

// number reads decimal digits, which the pattern has counted.
func number(digits []byte) int64 {
	n, _ := strconv.ParseInt(string(digits), 10, 64)
	return n
}

// isNewer reports whether a later version of this package wrote the value: it begins with "ply2 " and so on.
func isNewer(value []byte) bool {
	return len(value) > 4 && string(value[:3]) == "ply" && value[3] > '1' && value[3] <= '9' && value[4] == ' '
}

// over reports whether the record's time is over.
func (h *head) over(now time.Time) bool { return !h.expires.IsZero() && !h.expires.After(now) }

// A version is what a record's Version says: the object that it was read from. The ETag is what the server compares, so that a change takes one request.
// The time is there because to the server an expired object is as good as any other.
type version struct {
	nonce   string
	expires time.Time
	etag    string
}

func (v version) String() string {
	return v.nonce + "." + strconv.FormatInt(millis(v.expires), 10) + "." + v.etag
}

// parseVersion is false for a text that no record of this package had for a version.
func parseVersion(text string) (v version, ok bool) {
	nonce, rest, _ := strings.Cut(text, ".")
	ms, etag, _ := strings.Cut(rest, ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if len(nonce) != 16 || err != nil || etag == "" {
		return version{}, false
	}
	v = version{nonce: nonce, etag: etag}
	if n != 0 {
		v.expires = time.UnixMilli(n)
	}
	return v, true
}

func (v version) over(now time.Time) bool { return (&head{expires: v.expires}).over(now) }
