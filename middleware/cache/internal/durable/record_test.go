package durable

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

var golden = flag.Bool("golden", false, "write the golden records of the present version")

var goldenHash = newRecordKey("private", "key").Hash

// sample is a set in which every field has a value of its own.
func sample() *stored.Variants {
	at := time.Unix(1_700_000_000, 123_000_000)
	whole := &stored.Entry{
		URL: "http://h/a?q=REDACTED", Status: 200, Line: stored.NewStatusLine(200, "200 OK", "HTTP/1.1", 1, 1),
		Header: stored.NewHeader(http.Header{"Date": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "Etag": {`"v1"`}, "Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}}),
		Ending: stored.NewEnding(stored.NewHeader(http.Header{"X-Sum": {"42"}}), ""), Body: stored.Content{Bytes: []byte("the body of a response")}, Uncompressed: true,
		Selectors: []stored.Selector{{Name: "Accept", Present: true, Value: "text/html", Raw: "text/html"}, {Name: "Cookie", Present: true, Value: "\x00\xffhash"}, {Name: "Dnt"}},
		Tags:      []invalidation.Tag{invalidation.NewTag([]byte("uri")), invalidation.NewTag([]byte("group"))}, Record: &stored.Record{Generations: []stored.Generation{{1, 2, 3}, {4, 5, 6}}},
		Requested: at, Received: at.Add(time.Second), InitialAge: 7 * time.Second,
		Rules: stored.Rules{Lifetime: time.Hour, NoCache: true, MustRevalidate: true, Immutable: true, Sliding: true, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour},
	}
	whole.Used.Store(at.Add(time.Minute).UnixNano())
	part := &stored.Entry{
		URL: "http://h/b", Status: 206, Line: stored.NewStatusLine(206, "206 Partial Content", "HTTP/2.0", 2, 0),
		Header: stored.NewHeader(http.Header{"Content-Range": {"bytes 10-600009/700000"}, "Etag": {`"v2"`}}),
		Search: &stored.SearchVariance{Query: "a=1&b=2", AnyOrder: true, All: true, AllBut: []string{"a"}},
		Part:   &stored.ContentRange{First: 10, Last: 600_009, Complete: 700_000},
		Body:   stored.Content{Chunks: &stored.Chunks{ID: [16]byte{9, 8, 7}, Size: 600_000, Until: at.Add(24 * time.Hour)}},
		Tags:   []invalidation.Tag{invalidation.NewTag([]byte("uri"))}, Record: &stored.Record{Generations: []stored.Generation{{7}}},
		Requested: at, Received: at, Rules: stored.Rules{Lifetime: -time.Second},
	}
	part.Used.Store(at.UnixNano())
	empty := &stored.Entry{
		URL: "http://h/c", Status: 404, Line: stored.NewStatusLine(404, "404 Not Found", "HTTP/1.0", 1, 0), Header: stored.NewHeader(http.Header{}), Requested: at, Received: at,
		Search: &stored.SearchVariance{Parameter: []string{"x", "y"}},
	}
	set := &stored.Variants{Entries: []*stored.Entry{whole, part, empty}}
	for _, e := range set.Entries {
		e.Derive()
	}
	return set
}

// pieceRecord is the record of a body's first chunk.
func pieceRecord(p *chunkBuilder, text string) []byte {
	p.begin(0)
	return Seal(append(p.chunk, text...), chunkKind)
}

// shown is all that a record keeps of a set.
func shown(set *stored.Variants) string {
	var b strings.Builder
	for _, e := range set.Entries {
		fmt.Fprintf(&b, "%s %d %q %q %d.%d %v\n%q %q %q\n", e.URL, e.Status, e.Line.Reason, e.Line.Proto, e.Line.Major, e.Line.Minor, e.Uncompressed, e.Header.Map(), e.Trailer().Map(), e.Body.Bytes)
		fmt.Fprintf(&b, "%+v %+v %x %x %v\n", e.Selectors, e.Search, e.Tags, e.Generations(), e.Part)
		fmt.Fprintf(&b, "%d %d %d %v %+v\n", e.Requested.UnixNano(), e.Received.UnixNano(), e.Used.Load(), e.InitialAge, e.Rules)
		if p := e.Body.Chunks; p != nil {
			fmt.Fprintf(&b, "%x %d %d\n", p.ID, p.Size, p.Until.UnixNano())
		}
	}
	return b.String()
}

func mustEncode(t testing.TB, set *stored.Variants) []byte {
	t.Helper()
	record, err := encode(goldenHash, set)
	require.NoError(t, err)
	return record
}

func TestRecordRoundTrip(t *testing.T) {
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
	if _, err := decode(record, newRecordKey("private", "another key").Hash); !errors.Is(err, ErrDamaged) {
		t.Errorf("under another key: %v", err)
	}
}

// When a response is refreshed ahead stands in its record, and what cannot be is damage.
func TestRecordsKeepWhenToRefreshAhead(t *testing.T) {
	for name, test := range map[string]struct {
		within time.Duration
		xfetch float64
		bad    bool
	}{
		"within":             {within: time.Minute},
		"by chance":          {xfetch: 1.5},
		"both":               {within: time.Minute, xfetch: 100},
		"a negative time":    {within: -time.Minute, xfetch: 1, bad: true},
		"too eager":          {xfetch: 101, bad: true},
		"no number":          {within: time.Minute, xfetch: math.NaN(), bad: true},
		"a negative chance":  {within: time.Minute, xfetch: -1, bad: true},
		"a time beyond time": {within: 1 << 62, bad: true},
	} {
		set := sample()
		set.Entries[1].Rules.RefreshWithin, set.Entries[1].Rules.XFetch = test.within, test.xfetch
		again, err := decode(mustEncode(t, set), goldenHash)
		if (err != nil) != test.bad {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if diff := cmp.Diff(set.Entries[1].Rules, again.Entries[1].Rules); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// Records of every version that was ever released are read as they were written.
func TestRecordGoldenFiles(t *testing.T) {
	m := GenerationRecord{Generation: stored.Generation{1, 2}, changed: time.Unix(1_700_000_000, 5), until: time.Unix(1_800_000_000, 0)}
	p := &chunkBuilder{Chunks: stored.Chunks{ID: [16]byte{9, 8, 7}, Size: 5}}
	present := map[string][]byte{
		"entry": mustEncode(t, sample()), "mark": m.record(invalidation.NewTag([]byte("uri"))).Data, "setup": hashKeyRecord(&stored.HashKey{1, 2, 3}).Data,
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
	if got := readGeneration(store.Record{Data: read("mark.v1")}, invalidation.NewTag([]byte("uri"))); got.Generation != m.Generation || !got.changed.Equal(m.changed) || !got.until.Equal(m.until) {
		t.Errorf("mark.v1: %+v", got)
	}
	if got, err := readHashKey(store.Record{Data: read("setup.v1"), Version: "1"}); err != nil || *got != (stored.HashKey{1, 2, 3}) {
		t.Errorf("setup.v1: %v, %v", got, err)
	}
	if got, err := chunkContent(&p.Chunks, store.Record{Data: read("body.v1"), Version: "1"}, 0); err != nil || string(got) != "piece" {
		t.Errorf("body.v1: %q, %v", got, err)
	}
}

// Every bit that is flipped, and every byte that is missing or too many, makes a record a miss.
func TestRecordDamageIsAMiss(t *testing.T) {
	tagged := invalidation.NewTag([]byte("uri"))
	p := &chunkBuilder{Chunks: stored.Chunks{ID: [16]byte{9, 8, 7}, Size: 5}}
	m := GenerationRecord{Generation: stored.Generation{1}, until: time.Unix(1_800_000_000, 0)}
	for name, kind := range map[string]struct {
		record []byte
		reads  func([]byte) bool
	}{
		"entry": {mustEncode(t, sample()), func(b []byte) bool { _, err := decode(b, goldenHash); return err == nil || errors.Is(err, ErrNewer) }},
		"mark":  {m.record(tagged).Data, func(b []byte) bool { m := readGeneration(store.Record{Data: b}, tagged); return !m.absent() || m.newer }},
		"setup": {hashKeyRecord(&stored.HashKey{1}).Data, func(b []byte) bool {
			s, err := readHashKey(store.Record{Data: b, Version: "1"})
			return s != nil || errors.Is(err, ErrNewer)
		}},
		"body": {pieceRecord(p, "piece"), func(b []byte) bool {
			_, err := chunkContent(&p.Chunks, store.Record{Data: b, Version: "1"}, 0)
			return err == nil
		}},
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
func TestRecordOfLaterVersionIsAMiss(t *testing.T) {
	record := mustEncode(t, sample())
	record[4] = recordVersion + 1
	reseal(record)
	if _, err := decode(record, goldenHash); !errors.Is(err, ErrNewer) {
		t.Errorf("%v", err)
	}
}

// reseal makes the checksum of a record right.
func reseal(record []byte) {
	sum := Checksum(record)
	record[5], record[6], record[7], record[8] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
}

// What has a right checksum and is no record of ours all the same, because it was made up, is a miss, too.
func TestRecordForgedWithValidChecksumIsAMiss(t *testing.T) {
	field := func(name, line string) func(*stored.Entry) {
		return func(e *stored.Entry) {
			h := e.Header.Map()
			h[name] = []string{line}
			e.Header = stored.NewHeader(h)
		}
	}
	for name, change := range map[string]func(e *stored.Entry){
		"line feed in a value":      field("X", "a\nb"),
		"carriage return":           field("X", "a\rSet-Cookie: b"),
		"NUL":                       field("X", "a\x00"),
		"a name that is none":       field("X Y", "a"),
		"an empty name":             field("", "a"),
		"hop-by-hop":                field("Transfer-Encoding", "chunked"),
		"hop-by-hop, in lower case": field("connection", "close"),
		"line feed in a trailer":    func(e *stored.Entry) { e.Ending = stored.NewEnding(stored.NewHeader(http.Header{"X": {"a\nb"}}), "") },
		"line feed in the status":   func(e *stored.Entry) { e.Line = &stored.StatusLine{Reason: "200 OK\r\nX: y"} },
		"line feed in the URL":      func(e *stored.Entry) { e.URL = "http://h/\n" },
		"status 99":                 func(e *stored.Entry) { e.Status = 99 },
		"status 600":                func(e *stored.Entry) { e.Status = 600 },
		"a part of another size":    func(e *stored.Entry) { e.Part = &stored.ContentRange{First: 0, Last: 3, Complete: 10} },
		"a part beyond its end":     func(e *stored.Entry) { e.Part = &stored.ContentRange{First: 0, Last: 21, Complete: 5} },
		"lifetime":                  func(e *stored.Entry) { e.Rules.Lifetime = 1 << 62 },
		"age":                       func(e *stored.Entry) { e.InitialAge = -1 << 62 },
		"selector":                  func(e *stored.Entry) { e.Selectors = []stored.Selector{{Name: "a b"}} },
	} {
		t.Run(name, func(t *testing.T) {
			set := sample()
			set.Entries = set.Entries[:1]
			change(set.Entries[0])
			if fits(set.Entries[0]) {
				t.Error("it would be stored")
			}
			if _, err := decode(mustEncode(t, set), goldenHash); !errors.Is(err, ErrDamaged) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Whatever byte of a record is another one, and its checksum is right all the same: it is a miss, or a record that is written again as it was read.
func TestRecordReadIsWrittenAgainAsItWas(t *testing.T) {
	record := mustEncode(t, sample())
	tried := func(what string, i int, b []byte) {
		reseal(b)
		set, err := decode(b, goldenHash)
		if err != nil {
			return
		}
		if again, err := encode(goldenHash, set); err != nil || !bytes.Equal(again, b) {
			t.Errorf("byte %d %s: read, and written as another record, %v", i, what, err)
		}
	}
	for i := frameBytes + len(goldenHash) + 4; i < len(record); i++ {
		for bit := range 8 {
			b := bytes.Clone(record)
			b[i] ^= 1 << bit
			tried("changed", i, b)
		}
		tried("twice", i, slices.Insert(bytes.Clone(record), i, record[i]))
		tried("left out", i, slices.Delete(bytes.Clone(record), i, i+1))
	}
}

// The lengths in a record are those of what follows, neither less nor more.
func TestRecordLengthsAreExact(t *testing.T) {
	record := mustEncode(t, sample())
	at := frameBytes + len(goldenHash)
	length := binary.LittleEndian.Uint32(record[at:])
	for name, change := range map[string]func(b []byte) []byte{
		"a frame alone":                     func(b []byte) []byte { return b[:frameBytes] },
		"less than a hash":                  func(b []byte) []byte { return b[:at-1] },
		"a hash alone":                      func(b []byte) []byte { return b[:at] },
		"less than a length":                func(b []byte) []byte { return b[:at+3] },
		"no responses":                      func(b []byte) []byte { return append(b[:at], 1, 0, 0, 0, 0) },
		"no responses in nothing":           func(b []byte) []byte { return append(b[:at], 0, 0, 0, 0) },
		"responses that reach beyond":       func(b []byte) []byte { return b[:at+4+int(length)-1] },
		"a byte behind the responses":       func(b []byte) []byte { return slices.Insert(b, at+4+int(length), 0) },
		"a byte of responses behind":        func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], length+1); return b },
		"a byte of responses that lacks":    func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], length-1); return b },
		"responses of an enormous length":   func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], math.MaxUint32); return b },
		"a body that is a byte shorter":     func(b []byte) []byte { return b[:len(b)-1] },
		"a body that is a byte longer":      func(b []byte) []byte { return append(b, 'x') },
		"responses that are one too many":   func(b []byte) []byte { b[at+4]++; return b },
		"responses that are one too few":    func(b []byte) []byte { b[at+4]--; return b },
		"the record of another cache's key": func(b []byte) []byte { b[frameBytes]++; return b },
	} {
		b := change(bytes.Clone(record))
		reseal(b)
		if set, err := decode(b, goldenHash); !errors.Is(err, ErrDamaged) || set != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is at the bounds of the format can be stored, and what is beyond cannot.
func TestRecordAtItsBounds(t *testing.T) {
	one := func(change func(e *stored.Entry)) *stored.Variants {
		set := sample()
		set.Entries = set.Entries[:1]
		change(set.Entries[0])
		return set
	}
	variants := func(n int) *stored.Variants {
		set := &stored.Variants{}
		for range n {
			e := &stored.Entry{Status: 200, Header: stored.NewHeader(http.Header{})}
			e.Derive()
			set.Entries = append(set.Entries, e)
		}
		return set
	}
	part := func(first, last, complete, size int64) func(*stored.Entry) {
		return func(e *stored.Entry) {
			e.Part, e.Body.Bytes = &stored.ContentRange{First: first, Last: last, Complete: complete}, make([]byte, size)
		}
	}
	for name, test := range map[string]struct {
		set  *stored.Variants
		good bool
	}{
		"status 199":                          {one(func(e *stored.Entry) { e.Status = 199 }), false},
		"status 200":                          {one(func(e *stored.Entry) { e.Status = 200 }), true},
		"status 599":                          {one(func(e *stored.Entry) { e.Status = 599 }), true},
		"the most variants":                   {variants(stored.MaxVariants), true},
		"one variant too many":                {variants(stored.MaxVariants + 1), false},
		"no variants":                         {variants(0), false},
		"a method of its own":                 {one(func(e *stored.Entry) { e.Method = "QUERY" }), true},
		"fewer generations than tags":         {one(func(e *stored.Entry) { e.Record.Generations = e.Record.Generations[:1] }), true},
		"an empty body":                       {one(func(e *stored.Entry) { e.Body.Bytes = nil }), true},
		"without a header":                    {one(func(e *stored.Entry) { e.Header, e.Ending = "", nil }), true},
		"a part of one byte":                  {one(part(0, 0, 1, 1)), true},
		"the last byte":                       {one(part(4, 4, 5, 1)), true},
		"a part of an unknown whole":          {one(part(3, 5, -1, 3)), true},
		"a part that ends behind the whole":   {one(part(4, 5, 5, 2)), false},
		"a part before the beginning":         {one(part(-1, 0, 5, 2)), false},
		"a part without bytes":                {one(part(1, 0, 5, 0)), false},
		"a part of a whole of a made-up size": {one(part(0, 1, -2, 2)), false},
		"a part with another number of bytes": {one(part(0, 1, 5, 3)), false},
		"parameters that are not in order":    {one(func(e *stored.Entry) { e.Search = &stored.SearchVariance{Parameter: []string{"b", "a"}} }), false},
		"exceptions that are not in order":    {one(func(e *stored.Entry) { e.Search = &stored.SearchVariance{All: true, AllBut: []string{"b", "a"}} }), false},
		"as many lines as there may be": {one(func(e *stored.Entry) {
			e.Ending, e.Selectors, e.Header = nil, nil, stored.NewHeader(http.Header{"A": make([]string, maxItems-1)})
		}), true},
	} {
		record := mustEncode(t, test.set)
		again, err := decode(record, goldenHash)
		if (err == nil) != test.good || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(test.set.Entries) == 1 && fits(test.set.Entries[0]) != test.good {
			t.Errorf("%s: fits: %t", name, !test.good)
		}
		if err != nil {
			continue
		}
		if !bytes.Equal(record, mustEncode(t, again)) {
			t.Errorf("%s: read, and written as another record", name)
		}
		for _, e := range again.Entries {
			if e.Size == 0 {
				t.Errorf("%s: what follows from a response is not derived when it is read: %+v", name, e)
			}
		}
	}
	set := one(func(e *stored.Entry) { e.Body.Bytes = nil })
	room := maxRecord - len(mustEncode(t, set))
	for n, want := range map[int]error{room - 2: nil, room - 1: store.ErrTooLarge} { // its length takes two bytes more than that of an empty body
		set.Entries[0].Body.Bytes = make([]byte, n)
		if record, err := encode(goldenHash, set); !errors.Is(err, want) {
			t.Errorf("a body of %d bytes in %d: %v", n, len(record), err)
		}
	}
}

// More lines than a record may have are refused on both sides.
func TestRecordBounds(t *testing.T) {
	set := sample()
	h := http.Header{}
	for i := range maxItems {
		h[fmt.Sprint("X-", i)] = []string{"a"}
	}
	set.Entries[0].Header = stored.NewHeader(h)
	if fits(set.Entries[0]) {
		t.Error("an entry with too many fields would be stored")
	}
	large := sample()
	large.Entries[0].Body.Bytes = make([]byte, maxRecord)
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

// How large a body is a record can only say: a made-up size gets no memory.
func TestRecordForgedBodySizeAllocatesNothing(t *testing.T) {
	set := sample()
	set.Entries[1].Part, set.Entries[1].Body.Chunks.Size = nil, 1<<61
	set, err := decode(mustEncode(t, set), goldenHash)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s := &leaving{goes: cancel}
	s.left.Store(100)
	d := New(s, time.Second, 0, false)
	if took := allocated(func() { d.remove(ctx, set.Entries[1].Body.Chunks) }); took > 1<<20 {
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

// A Response has no more tags than it can have come to: each of them is looked up on reading.
func TestRecordTagsAreBounded(t *testing.T) {
	for n, taken := range map[int]bool{maxTags: true, maxTags + 1: false} {
		set := sample()
		e := set.Entries[0]
		e.Tags, e.Record.Generations = make([]invalidation.Tag, n), make([]stored.Generation, n)
		_, err := decode(mustEncode(t, set), goldenHash)
		if (err == nil) != taken || fits(e) != taken {
			t.Errorf("%d tags: %v, fits: %t", n, err, fits(e))
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
	f.Add(mustEncode(f, streamed(pacingOf(20, 1500, 2, 300_000)))[frameBytes:])
	huge := bytes.Clone(record[frameBytes:])
	copy(huge[36:], "\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
	f.Add(huge)
	many := bytes.Clone(record[frameBytes:])
	f.Add(append(many[:36], bytes.Repeat([]byte{1}, 100_000)...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		record := Seal(append(Framed(nil), payload...), entryKind)
		copy(record[frameBytes:], goldenHash[:])
		if len(record) >= frameBytes+36 {
			n := len(record) - frameBytes - 36
			if given := int(record[frameBytes+32]) | int(record[frameBytes+33])<<8; n > given {
				n = given
			}
			record[frameBytes+32], record[frameBytes+33], record[frameBytes+34], record[frameBytes+35] = byte(n), byte(n>>8), byte(n>>16), 0
		}
		Seal(record, entryKind)
		var set *stored.Variants
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
