package cache

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

var golden = flag.Bool("golden", false, "write the golden records of the present version")

var goldenHash = newPlace("private", "key").hash

// sample is a set in which every field has a value of its own.
func sample() *variants {
	at := time.Unix(1_700_000_000, 123_000_000)
	whole := &Entry{
		url: "http://h/a?q=REDACTED", status: 200, reason: "200 OK", proto: "HTTP/1.1", major: 1, minor: 1,
		header:  http.Header{"Date": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Etag": {`"v1"`}, "Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}},
		trailer: http.Header{"X-Sum": {"42"}}, body: content{bytes: []byte("the body of a response")}, uncompressed: true,
		selectors: []selector{{name: "Accept", present: true, value: "text/html", raw: "text/html"}, {name: "Cookie", present: true, value: "\x00\xffhash"}, {name: "Dnt"}},
		tags:      []tag{newTag([]byte("uri")), newTag([]byte("group"))}, marks: []nonce{{1, 2, 3}, {4, 5, 6}},
		requested: at, received: at.Add(time.Second), age0: 7 * time.Second,
		rules: rules{lifetime: time.Hour, noCache: true, mustRevalidate: true, immutable: true, sliding: true, staleWhileRevalidate: time.Minute, staleIfError: time.Hour},
	}
	whole.used.Store(at.Add(time.Minute).UnixNano())
	part := &Entry{
		url: "http://h/b", status: 206, reason: "206 Partial Content", proto: "HTTP/2.0", major: 2,
		header: http.Header{"Content-Range": {"bytes 10-600009/700000"}, "Etag": {`"v2"`}},
		search: &searchVariance{query: "a=1&b=2", anyOrder: true, all: true, allBut: []string{"a"}},
		part:   &span{first: 10, last: 600_009, complete: 700_000},
		body:   content{stored: &pieces{id: [16]byte{9, 8, 7}, size: 600_000, until: at.Add(24 * time.Hour)}},
		tags:   []tag{newTag([]byte("uri"))}, marks: []nonce{{7}},
		requested: at, received: at, rules: rules{lifetime: -time.Second},
	}
	part.used.Store(at.UnixNano())
	empty := &Entry{
		url: "http://h/c", status: 404, reason: "404 Not Found", proto: "HTTP/1.0", major: 1, header: http.Header{}, requested: at, received: at,
		search: &searchVariance{parameter: []string{"x", "y"}},
	}
	set := &variants{entries: []*Entry{whole, part, empty}}
	for _, e := range set.entries {
		e.index()
	}
	return set
}

// pieceRecord is the record of a body's first piece.
func pieceRecord(p *shelf, text string) []byte {
	p.begin(0)
	return seal(append(p.piece, text...), pieceKind)
}

// shown is all that a record keeps of a set.
func shown(set *variants) string {
	var b strings.Builder
	for _, e := range set.entries {
		fmt.Fprintf(&b, "%s %d %q %q %d.%d %v\n%q %q %q\n", e.url, e.status, e.reason, e.proto, e.major, e.minor, e.uncompressed, e.header, e.trailer, e.body.bytes)
		fmt.Fprintf(&b, "%+v %+v %x %x %v\n", e.selectors, e.search, e.tags, e.marks, e.part)
		fmt.Fprintf(&b, "%d %d %d %v %+v\n", e.requested.UnixNano(), e.received.UnixNano(), e.used.Load(), e.age0, e.rules)
		if p := e.body.stored; p != nil {
			fmt.Fprintf(&b, "%x %d %d\n", p.id, p.size, p.until.UnixNano())
		}
	}
	return b.String()
}

func mustEncode(t testing.TB, set *variants) []byte {
	t.Helper()
	record, err := encode(goldenHash, set)
	require.NoError(t, err)
	return record
}

func TestRecordsKeepEverything(t *testing.T) {
	set := sample()
	record := mustEncode(t, set)
	again, err := decode(record, goldenHash)
	require.NoError(t, err)
	if diff := cmp.Diff(shown(set), shown(again)); diff != "" {
		t.Errorf("after a round trip (-want +got)\n%s", diff)
	}
	if !bytes.Equal(record, mustEncode(t, again)) {
		t.Error("a record can be written in two ways")
	}
	if _, err := decode(record, newPlace("private", "another key").hash); !errors.Is(err, errDamaged) {
		t.Errorf("under another key: %v", err)
	}
}

// Records of every version that was ever released are read as they were written.
func TestGoldenRecords(t *testing.T) {
	m := mark{nonce: nonce{1, 2}, changed: time.Unix(1_700_000_000, 5), until: time.Unix(1_800_000_000, 0)}
	p := &shelf{pieces: pieces{id: [16]byte{9, 8, 7}, size: 5}}
	present := map[string][]byte{
		"entry": mustEncode(t, sample()), "mark": m.record(newTag([]byte("uri"))).Data, "setup": (&secret{1, 2, 3}).record().Data,
		"body": pieceRecord(p, "piece"),
	}
	for name, record := range present {
		file := filepath.Join("testdata", "records", fmt.Sprintf("%s.v%d", name, recordVersion))
		if *golden {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, record, 0o644))
		}
		kept, err := os.ReadFile(file)
		require.NoError(t, err)
		if !bytes.Equal(kept, record) {
			t.Errorf("%s is written in another way than version %d was: a changed format needs a new version", name, recordVersion)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		record, err := os.ReadFile(filepath.Join("testdata", "records", name))
		require.NoError(t, err)
		return record
	}
	set, err := decode(read("entry.v1"), goldenHash)
	require.NoError(t, err)
	if diff := cmp.Diff(shown(sample()), shown(set)); diff != "" {
		t.Errorf("entry.v1 (-want +got)\n%s", diff)
	}
	if got := readMark(store.Record{Data: read("mark.v1")}, newTag([]byte("uri"))); got.nonce != m.nonce || !got.changed.Equal(m.changed) || !got.until.Equal(m.until) {
		t.Errorf("mark.v1: %+v", got)
	}
	if got, err := readSecret(store.Record{Data: read("setup.v1"), Version: "1"}); err != nil || *got != (secret{1, 2, 3}) {
		t.Errorf("setup.v1: %v, %v", got, err)
	}
	if got, err := p.content(store.Record{Data: read("body.v1"), Version: "1"}, 0); err != nil || string(got) != "piece" {
		t.Errorf("body.v1: %q, %v", got, err)
	}
}

// Every bit that is flipped, and every byte that is missing or too many, makes a record a miss.
func TestEveryDamageIsAMiss(t *testing.T) {
	tagged := newTag([]byte("uri"))
	p := &shelf{pieces: pieces{id: [16]byte{9, 8, 7}, size: 5}}
	m := mark{nonce: nonce{1}, until: time.Unix(1_800_000_000, 0)}
	for name, kind := range map[string]struct {
		record []byte
		reads  func([]byte) bool
	}{
		"entry": {mustEncode(t, sample()), func(b []byte) bool { _, err := decode(b, goldenHash); return err == nil || errors.Is(err, errNewer) }},
		"mark":  {m.record(tagged).Data, func(b []byte) bool { m := readMark(store.Record{Data: b}, tagged); return !m.absent() || m.newer }},
		"setup": {(&secret{1}).record().Data, func(b []byte) bool {
			s, err := readSecret(store.Record{Data: b, Version: "1"})
			return s != nil || errors.Is(err, errNewer)
		}},
		"body": {pieceRecord(p, "piece"), func(b []byte) bool { _, err := p.content(store.Record{Data: b, Version: "1"}, 0); return err == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			if !kind.reads(kind.record) {
				t.Fatal("the record itself is a miss")
			}
			for i := range kind.record {
				for bit := range 8 {
					flipped := bytes.Clone(kind.record)
					flipped[i] ^= 1 << bit
					if kind.reads(flipped) {
						t.Errorf("bit %d of byte %d flipped: read", bit, i)
					}
				}
				if kind.reads(kind.record[:i]) {
					t.Errorf("cut off after %d bytes: read", i)
				}
			}
			if kind.reads(append(bytes.Clone(kind.record), 0)) || kind.reads(append([]byte{0}, kind.record...)) {
				t.Error("a byte too many: read")
			}
		})
	}
}

// A record of a later version is a miss and stays where it is.
func TestNewerRecordsAreLeftAlone(t *testing.T) {
	record := mustEncode(t, sample())
	record[4] = recordVersion + 1
	reseal(record)
	if _, err := decode(record, goldenHash); !errors.Is(err, errNewer) {
		t.Errorf("%v", err)
	}
}

// reseal makes the checksum of a record right.
func reseal(record []byte) {
	sum := checksum(record)
	record[5], record[6], record[7], record[8] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
}

// What has a right checksum and is no record of ours all the same, because somebody made it up, is a miss, too.
func TestMadeUpRecords(t *testing.T) {
	for name, change := range map[string]func(e *Entry){
		"line feed in a value":      func(e *Entry) { e.header["X"] = []string{"a\nb"} },
		"carriage return":           func(e *Entry) { e.header["X"] = []string{"a\rSet-Cookie: b"} },
		"NUL":                       func(e *Entry) { e.header["X"] = []string{"a\x00"} },
		"a name that is none":       func(e *Entry) { e.header["X Y"] = []string{"a"} },
		"an empty name":             func(e *Entry) { e.header[""] = []string{"a"} },
		"hop-by-hop":                func(e *Entry) { e.header["Transfer-Encoding"] = []string{"chunked"} },
		"hop-by-hop, in lower case": func(e *Entry) { e.header["connection"] = []string{"close"} },
		"line feed in a trailer":    func(e *Entry) { e.trailer = http.Header{"X": {"a\nb"}} },
		"line feed in the status":   func(e *Entry) { e.reason = "200 OK\r\nX: y" },
		"line feed in the URL":      func(e *Entry) { e.url = "http://h/\n" },
		"status 99":                 func(e *Entry) { e.status = 99 },
		"status 600":                func(e *Entry) { e.status = 600 },
		"a part of another size":    func(e *Entry) { e.part = &span{first: 0, last: 3, complete: 10} },
		"a part beyond its end":     func(e *Entry) { e.part = &span{first: 0, last: 21, complete: 5} },
		"lifetime":                  func(e *Entry) { e.rules.lifetime = 1 << 62 },
		"age":                       func(e *Entry) { e.age0 = -1 << 62 },
		"selector":                  func(e *Entry) { e.selectors = []selector{{name: "a b"}} },
	} {
		t.Run(name, func(t *testing.T) {
			set := sample()
			set.entries = set.entries[:1]
			change(set.entries[0])
			if set.entries[0].fits() {
				t.Error("it would be stored")
			}
			if _, err := decode(mustEncode(t, set), goldenHash); !errors.Is(err, errDamaged) {
				t.Errorf("%v", err)
			}
		})
	}
}

// More lines than a record may have are refused on both sides.
func TestRecordsAreBounded(t *testing.T) {
	set := sample()
	for i := range maxItems {
		set.entries[0].header[fmt.Sprint("X-", i)] = []string{"a"}
	}
	if set.entries[0].fits() {
		t.Error("an entry with too many fields would be stored")
	}
	large := sample()
	large.entries[0].body.bytes = make([]byte, maxRecord)
	if _, err := encode(goldenHash, large); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a large record: %v", err)
	}
}

// leaving is a store whose caller goes after a few deletions.
type leaving struct {
	store.Store
	left atomic.Int64
	goes func()
}

func (l *leaving) Delete(context.Context, string, string) error {
	if l.left.Add(-1) == 0 {
		l.goes()
	}
	return nil
}

// How large a body is a record can only say: whoever has made that up gets no memory for it.
func TestASizeThatIsMadeUp(t *testing.T) {
	set := sample()
	set.entries[1].part, set.entries[1].body.stored.size = nil, 1<<61
	set, err := decode(mustEncode(t, set), goldenHash)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s := &leaving{goes: cancel}
	s.left.Store(100)
	d := newDurable(s, time.Second, 0, false)
	if took := allocated(func() { d.remove(ctx, set.entries[1].body.stored) }); took > 1<<20 {
		t.Errorf("%d bytes allocated to remove a body", took)
	}
	if left := s.left.Load(); left > 0 {
		t.Errorf("%d deletions are missing", left)
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A response has no more tags than it can have come to: each of them is looked up on reading.
func TestTagsOfARecord(t *testing.T) {
	for n, taken := range map[int]bool{maxTags: true, maxTags + 1: false} {
		set := sample()
		e := set.entries[0]
		e.tags, e.marks = make([]tag, n), make([]nonce, n)
		_, err := decode(mustEncode(t, set), goldenHash)
		if (err == nil) != taken || e.fits() != taken {
			t.Errorf("%d tags: %v, fits: %t", n, err, e.fits())
		}
	}
}

// decodeRoom is what decoding may allocate beside twice its input: for the maps and slices of as many lines as one record may have.
const decodeRoom = 2 << 20

// FuzzDecodeEntry: whatever bytes a store returns, under a right checksum even, decoding neither panics nor allocates much more than they are,
// and what it takes is written again as it was read.
func FuzzDecodeEntry(f *testing.F) {
	record := mustEncode(f, sample())
	f.Add(record[frameBytes:])
	f.Add(record[frameBytes : len(record)-5])
	huge := bytes.Clone(record[frameBytes:])
	copy(huge[36:], "\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
	f.Add(huge)
	many := bytes.Clone(record[frameBytes:])
	f.Add(append(many[:36], bytes.Repeat([]byte{1}, 100_000)...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		record := seal(append(framed(nil), payload...), entryKind)
		copy(record[frameBytes:], goldenHash[:])
		if len(record) >= frameBytes+36 {
			n := len(record) - frameBytes - 36
			if given := int(record[frameBytes+32]) | int(record[frameBytes+33])<<8; n > given {
				n = given
			}
			record[frameBytes+32], record[frameBytes+33], record[frameBytes+34], record[frameBytes+35] = byte(n), byte(n>>8), byte(n>>16), 0
		}
		seal(record, entryKind)
		var set *variants
		var err error
		if took := allocated(func() { set, err = decode(record, goldenHash) }); took > 2*uint64(len(record))+decodeRoom {
			t.Fatalf("%d bytes allocated for %d", took, len(record))
		}
		if err != nil {
			return
		}
		again, err := encode(goldenHash, set)
		if err != nil || !bytes.Equal(again, record) {
			t.Fatalf("read and written again it is another record: %v\n%x\n%x", err, record, again)
		}
	})
}
