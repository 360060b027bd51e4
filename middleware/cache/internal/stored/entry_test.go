package stored

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// The clock that says longer counts: a machine that slept, or whose clock was set forward, has old responses.
func TestResidentTimeByBothClocks(t *testing.T) {
	now := time.Now()
	e := &Entry{Received: now}
	if got := e.ResidentTime(now.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("wall clock an hour ahead: %v", got)
	}
	if got := e.ResidentTime(now.Add(-time.Hour)); got != 0 {
		t.Errorf("clock an hour back: %v", got)
	}
	wall := time.Unix(1_700_000_000, 999_000_000)
	for after, want := range map[time.Duration]time.Duration{
		0: 0, time.Millisecond: time.Millisecond, -time.Millisecond: 0, -time.Second: 0, time.Second: time.Second, 1500 * time.Millisecond: 1500 * time.Millisecond,
		Longest - time.Second: Longest - time.Second, Longest: Longest, Longest + time.Second: Longest,
	} {
		if got := (&Entry{Received: wall}).ResidentTime(wall.Add(after)); got != want {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	if got := (&Entry{Received: time.Unix(0, 0)}).ResidentTime(time.Unix(1<<40, 0)); got != Longest {
		t.Errorf("after more than a Duration holds: %v, want %v", got, Longest)
	}
	if got := (&Entry{Received: time.Unix(1<<40, 0)}).ResidentTime(time.Unix(0, 0)); got != 0 {
		t.Errorf("before by more than a Duration holds: %v, want 0", got)
	}
}

// RFC 9211 §2.4: ttl tells fresh from stale to the last.
func TestTTL(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &Entry{Received: received, Rules: Rules{Lifetime: 10 * time.Second}}
	for after, want := range map[time.Duration]int{
		0: 10, 400 * time.Millisecond: 9, 9 * time.Second: 1, 9900 * time.Millisecond: 1, 10 * time.Second: 0, 10100 * time.Millisecond: -1, 12 * time.Second: -2,
	} {
		if got := e.TTL(received.Add(after)); got != time.Duration(want)*time.Second {
			t.Errorf("after %v: %v, want %d s", after, got, want)
		}
	}
}

func TestEntryFreshness(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(1_700_000_000+int64(second), 0) }
	e := &Entry{Received: at(0), InitialAge: 3 * time.Second, Rules: Rules{Lifetime: 10 * time.Second}}
	if e.Age(at(4)) != 7*time.Second || e.FreshFor(at(4)) != 3*time.Second || !e.Expires().Equal(at(7)) || e.FreshFor(at(9)) != -2*time.Second {
		t.Errorf("age %v, left %v, expires %v", e.Age(at(4)), e.FreshFor(at(4)), e.Expires())
	}
	sliding := &Entry{Received: at(0), InitialAge: 3 * time.Second, Rules: Rules{Lifetime: 10 * time.Second, Sliding: true}}
	if got := sliding.FreshFor(at(4)); got != 3*time.Second {
		t.Errorf("before any use: %v", got)
	}
	sliding.Touch(at(4))
	if sliding.FreshFor(at(4)) != 7*time.Second || !sliding.Expires().Equal(at(11)) || sliding.Age(at(4)) != 7*time.Second {
		t.Errorf("after a use: %v, until %v", sliding.FreshFor(at(4)), sliding.Expires())
	}
	if old := (&Entry{Received: at(0), InitialAge: Longest}); old.Age(at(10)) != Longest {
		t.Errorf("age %v", old.Age(at(10)))
	}
}

func TestEntryUses(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	e := &Entry{}
	e.Touch(now)
	e.Touch(now.Add(touchEvery))
	if e.Used.Load() != now.UnixNano() {
		t.Error("a use is recorded again too soon")
	}
	e.Touch(now.Add(touchEvery + 1))
	if e.Used.Load() != now.Add(touchEvery+1).UnixNano() {
		t.Error("a later use is not recorded")
	}
}

// RFC 9111 §4: the most recent response by Date, and within one second by its receipt.
func TestEntryNewerThan(t *testing.T) {
	of := func(date, received int64) *Entry {
		return &Entry{date: date, Received: time.Unix(received, 0)}
	}
	for _, test := range []struct {
		a, b *Entry
		want bool
	}{{of(2, 0), of(1, 5), true}, {of(1, 5), of(2, 0), false}, {of(1, 5), of(1, 4), true}, {of(1, 4), of(1, 5), false}, {of(1, 4), of(1, 4), false}} {
		if got := test.a.NewerThan(test.b); got != test.want {
			t.Errorf("%v, %v: %v", test.a.date, test.b.date, got)
		}
	}
}

// What an entry derives from its header, and what it is charged with.
func TestEntryDerives(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &Entry{Received: received, Header: NewHeader(http.Header{"Etag": {`W/"a"`}, "Last-Modified": {"Tue, 14 Nov 2023 00:00:00 GMT"}, "Date": {"Tue, 14 Nov 2023 01:00:00 GMT"}})}
	e.Derive()
	if e.Etag().Opaque != `"a"` || !e.Etag().Weak || e.Modified().Unix() != 1_699_920_000 || e.Date().Unix() != 1_699_923_600 || !e.HasValidator() {
		t.Errorf("%+v, %v, %v", e.Etag(), e.Modified(), e.Date())
	}
	undated := &Entry{Received: received}
	undated.Derive()
	if !undated.Date().Equal(received) || !undated.Modified().IsZero() || undated.HasValidator() || undated.Size != entryOverhead {
		t.Errorf("%v, %d bytes", undated.Date(), undated.Size)
	}
	for name, more := range map[string]struct {
		e    *Entry
		want int
	}{
		"URL":      {&Entry{URL: "http://h"}, 8},
		"method":   {&Entry{Method: "QUERY"}, 5},
		"field":    {&Entry{Header: NewHeader(http.Header{"A": {"12", "3"}})}, 1 + 1 + 1 + 1 + 1 + 2 + 1 + 1},
		"trailer":  {&Entry{Ending: NewEnding(NewHeader(http.Header{"A": {"12"}}), "")}, 1 + 1 + 1 + 1 + 1 + 2 + int(unsafe.Sizeof(Ending{}))},
		"selector": {&Entry{Selectors: []Selector{{Name: "A", Value: "12", Raw: "345"}}}, 1 + 2 + 3 + int(unsafe.Sizeof(Selector{}))},
		"room":     {&Entry{Selectors: make([]Selector, 9, 16)}, 16 * int(unsafe.Sizeof(Selector{}))},
		"tags":     {&Entry{Tags: make([]invalidation.Tag, 2)}, 2 * invalidation.TagOverhead},
		"record":   {&Entry{Record: &Record{Generations: make([]Generation, 3)}}, 3*len(Generation{}) + int(unsafe.Sizeof(Record{}))},
		"line":     {&Entry{Line: NewStatusLine(200, "200 Fine", "HTTP/1.1", 1, 1)}, 8 + 8 + int(unsafe.Sizeof(StatusLine{}))},
		"no more":  {&Entry{Line: NewStatusLine(200, "200 OK", "HTTP/1.1", 1, 1)}, 0},
	} {
		more.e.Derive()
		if got := more.e.Size - entryOverhead; got != int64(more.want) {
			t.Errorf("%s is charged with %d, want %d", name, got, more.want)
		}
	}
}

// An entry finds its entity tag where it stands in the header, whatever else says the same.
func TestEntryFindsItsTag(t *testing.T) {
	for _, tag := range []string{`"a"`, `W/"a"`, ` W/"a" `, `"`, "a", "W/", `W/a`, "\t", "", `"a", "b"`, "W/W/\"W/\"", strings.Repeat("a", 300)} {
		for _, h := range []http.Header{{"Etag": {tag}}, {"Etag": {tag, `"b"`}}, {"A": {`"a"`}, "Etag": {tag}, "X": {`W/"a"`, tag}}, {"Etag": {}}, {"X": {tag}}} {
			e := &Entry{Header: NewHeader(h)}
			e.Derive()
			want := field.ParseETag(http.Header(h).Get("Etag"))
			if got := e.Etag(); got != want || e.HasValidator() != (want.Opaque != "") {
				t.Errorf("%q: %+v, want %+v", h, got, want)
			}
			e.Header = ""
			if e.Derive(); e.Etag() != (field.ETag{}) {
				t.Errorf("%q: without a header %+v", h, e.Etag())
			}
		}
	}
}

func TestEntryReuseAfterWaitingAndClockChanges(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		rules Rules
		want  bool
	}{{Rules{Lifetime: time.Second}, true}, {Rules{}, false}, {Rules{Lifetime: time.Second, NoCache: true}, false}} {
		if got := (&Entry{Rules: test.rules}).AnswersWaiters(); got != test.want {
			t.Errorf("%+v answers waiters: %v", test.rules, got)
		}
	}
	e := &Entry{Received: now}
	if e.FromFuture(now.Add(-clockBack)) || !e.FromFuture(now.Add(-clockBack-1)) {
		t.Error("a clock that was set back by more than five minutes")
	}
	var none *Entry
	later := &Entry{Received: now.Add(1)}
	if none.FetchedSince(nil) || !e.FetchedSince(nil) || e.FetchedSince(e) || !later.FetchedSince(e) {
		t.Error("fetched since")
	}
	for rules, want := range map[Rules]bool{{}: true, {NoCache: true}: false, {MustRevalidate: true}: false} {
		if got := rules.MayServeStale(); got != want {
			t.Errorf("%+v may be served stale: %v", rules, got)
		}
	}
}

// RFC 9110 §15.4.5, §14.4, §15.5.17: a stored response as a 304, a part and a 416.
func TestEntryResponses(t *testing.T) {
	e := &Entry{
		Status: 200, Line: NewStatusLine(200, "200 OK", "", 0, 0), Body: Content{Bytes: []byte("hello")}, Ending: NewEnding(NewHeader(http.Header{"T": {"1"}}), ""),
		Header: NewHeader(http.Header{"Content-Encoding": {"x"}, "Content-Language": {"x"}, "Content-Length": {"5"}, "Content-Type": {"x"}, "Content-Range": {"x"}, "Etag": {`"a"`}}),
	}
	e.Derive()
	r := &http.Request{}
	for _, test := range []struct {
		name           string
		head           bool
		form           Form
		status, fields int
		body, part     string
		length         int64
		trailer        bool
	}{
		{"whole", false, Form{}, 200, 8, "hello", "x", 5, true},
		{"HEAD", true, Form{}, 200, 8, "", "x", 5, false},
		{"304", false, Form{Status: 304}, 304, 3, "", "", 0, false},
		{"206", false, Form{Status: 206, Part: ContentRange{1, 3, 5}}, 206, 8, "ell", "bytes 1-3/5", 3, false},
		{"416", false, Form{Status: 416, Part: ContentRange{Complete: 5}}, 416, 5, "", "bytes */5", 0, false},
	} {
		resp := e.Response(r, test.head, "1", "s", test.form)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != test.status || string(body) != test.body || len(resp.Header) != test.fields || resp.ContentLength != test.length || resp.Header.Get("Content-Range") != test.part || (resp.Trailer != nil) != test.trailer {
			t.Errorf("%s: %d %q, %d fields, length %d, %s", test.name, resp.StatusCode, body, len(resp.Header), resp.ContentLength, resp.Header.Get("Content-Range"))
		}
		if resp.Header.Get("Age") != "1" || resp.Header.Get("Cache-Status") != "s" || resp.Request != r {
			t.Errorf("%s: %v", test.name, resp.Header)
		}
	}
	if e.Header.Get("Content-Encoding") == "" || e.First() != 0 || newPart(4, 6, 0).First() != 4 {
		t.Error("the stored header was changed")
	}
}

// Whether a response can be validated, by each of the two validators (RFC 9111 §4.3.1).
func TestEntryHasValidator(t *testing.T) {
	for name, test := range map[string]struct {
		header http.Header
		want   bool
	}{
		"neither":       {http.Header{"Date": {"Tue, 14 Nov 2023 01:00:00 GMT"}}, false},
		"a tag":         {http.Header{"Etag": {`"a"`}}, true},
		"a date":        {http.Header{"Last-Modified": {"Tue, 14 Nov 2023 00:00:00 GMT"}}, true},
		"malformed":     {http.Header{"Last-Modified": {"yesterday"}}, false},
		"a tag of none": {http.Header{"Etag": {""}}, false},
		"year one":      {http.Header{"Last-Modified": {"Mon, 01 Jan 0001 00:00:00 GMT"}}, false},
	} {
		e := &Entry{Received: time.Unix(1_700_000_000, 0), Header: NewHeader(test.header)}
		e.Derive()
		if got := e.HasValidator(); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// A sliding lifetime restarts with each use, so each is recorded.
func TestEntrySlidingRecordsEachUse(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	e := &Entry{Rules: Rules{Sliding: true}}
	e.Touch(now)
	e.Touch(now.Add(1))
	if e.Used.Load() != now.UnixNano()+1 {
		t.Error("a use is not recorded")
	}
}

// A response says in which protocol its origin answered, and, if it was decompressed on the way, nothing of a length.
func TestEntryResponseIsLikeTheOrigins(t *testing.T) {
	e := &Entry{
		Status: 200, Line: NewStatusLine(200, "200 OK", "HTTP/2.0", 2, 0), Uncompressed: true, Body: Content{Bytes: []byte("hello")},
		Header: NewHeader(http.Header{"A": {"1", "2"}, "B": {"3"}, "Cache-Status": {"origin; hit", "edge; fwd=miss"}}), Ending: NewEnding(NewHeader(http.Header{}), ""),
	}
	e.Derive()
	r := &http.Request{}
	resp := e.Response(r, false, "7", "ply; hit", Form{})
	want := http.Header{"A": {"1", "2"}, "B": {"3"}, "Age": {"7"}, "Cache-Status": {"origin; hit", "edge; fwd=miss", "ply; hit"}}
	if diff := cmp.Diff(want, resp.Header); diff != "" {
		t.Errorf("the cache's own member of Cache-Status comes last (RFC 9211 §2) (-want +got)\n%s", diff)
	}
	if resp.Proto != "HTTP/2.0" || resp.ProtoMajor != 2 || resp.ProtoMinor != 0 || !resp.Uncompressed || resp.ContentLength != -1 || resp.Trailer != nil || resp.Status != "200 OK" {
		t.Errorf("%s %d.%d, uncompressed: %t, length %d, trailer %v", resp.Proto, resp.ProtoMajor, resp.ProtoMinor, resp.Uncompressed, resp.ContentLength, resp.Trailer)
	}
	empty := &Entry{Status: 200, Header: NewHeader(http.Header{})}
	empty.Derive()
	if body := empty.Response(r, false, "", "", Form{}).Body; body != http.NoBody {
		t.Errorf("an empty body is a %T", body)
	}
	part := newPart(4, 7, 0)
	section := part.Response(r, false, "", "", Form{Status: 206, Part: ContentRange{5, 6, 10}})
	if got, _ := io.ReadAll(section.Body); string(got) != "56" || section.Header.Get("Content-Length") != "2" || section.Header.Get("Content-Range") != "bytes 5-6/10" {
		t.Errorf("a section of a stored part: %q, %v", got, section.Header)
	}
	alike := e.WithoutBody(r, 5)
	alike.Header.Set("A", "changed")
	if alike.ContentLength != 5 || alike.Body != http.NoBody || alike.StatusCode != 200 || alike.Proto != "HTTP/2.0" || e.Header.Get("A") != "1" {
		t.Errorf("without its body: %+v, stored: %v", alike, e.Header)
	}
}

// Each answer has a header of its own, of however many lines: what a caller appends to one field reaches no other field and no other answer.
func TestEntryResponsesShareNoHeader(t *testing.T) {
	for n := range 40 {
		stored := http.Header{}
		for i := range n {
			stored[fmt.Sprint("F", i)] = []string{fmt.Sprint(i)}
		}
		e := &Entry{Status: 200, Header: NewHeader(stored)}
		e.Derive()
		var want http.Header
		for round := range 2 {
			h := e.Response(&http.Request{}, false, "1", "s", Form{}).Header
			if round == 0 {
				want = h.Clone()
			}
			if diff := cmp.Diff(want, h); diff != "" || len(h) != n+2 {
				t.Fatalf("%d fields, answer %d (-want +got)\n%s", n, round, diff)
			}
			for name := range h {
				h[name] = append(h[name], "more")
			}
			for name, lines := range h {
				if len(lines) != 2 || lines[0] != want[name][0] {
					t.Fatalf("%d fields: appended to all, %s is %q", n, name, lines)
				}
			}
		}
	}
}

// An answer costs one allocation beside its map, up to eighteen lines, so that a hit stays as cheap as it is.
func TestEntryResponseAllocations(t *testing.T) {
	for n, want := range map[int]float64{1: 0, 8: 0, 9: 0, 16: 0, 17: 1} {
		lines := n + 2
		if got := testing.AllocsPerRun(100, func() { resp, _, room := blank(lines); blankSink, linesSink = resp, room }) - 1; got != want {
			t.Errorf("%d lines: %v allocations beside the response, want %v", lines, got, want)
		}
	}
}

var (
	blankSink *http.Response
	linesSink []string
)

// Which entries have one body, and which are one stored response, though a store may have been read twice.
func TestEntryIdentity(t *testing.T) {
	now := time.Now()
	body := []byte("hello")
	of := func(body []byte, received time.Time, value string) *Entry {
		return &Entry{Received: received, Body: Content{Bytes: body}, Selectors: []Selector{{Name: "A", Present: true, Value: value}}}
	}
	e := of(body, now, "x")
	for _, test := range []struct {
		name        string
		other       *Entry
		body, entry bool
	}{
		{"itself", e, true, true},
		{"a clone", e.Clone(), true, true},
		{"read again", of(bytes.Clone(body), now.Round(0), "x"), false, true},
		{"received later", of(body, now.Add(1), "x"), true, false},
		{"another variant", of(body, now, "y"), true, false},
		{"another size", of(body[:4], now, "x"), true, false},
		{"an empty body", of(nil, now, "x"), false, false},
	} {
		if got := e.SharesBodyWith(test.other); got != test.body || test.other.SharesBodyWith(e) != got {
			t.Errorf("%s: shares the body: %t, want %t", test.name, got, test.body)
		}
		if got := e.SameAs(test.other); got != test.entry || test.other.SameAs(e) != got {
			t.Errorf("%s: the same: %t, want %t", test.name, got, test.entry)
		}
	}
	empty := &Entry{}
	if !empty.SharesBodyWith(empty) || empty.SharesBodyWith(&Entry{}) {
		t.Error("an entry without a body shares it with itself alone")
	}
	e.Header = NewHeader(http.Header{"Etag": {`"a"`}})
	e.Used.Store(7)
	moved := e.WithChunks(&Chunks{Size: 1 << 20})
	if moved.Used.Load() != 7 || moved.Etag().Opaque != `"a"` || moved.Body.Size() != 1<<20 || e.Body.Chunks != nil {
		t.Errorf("in chunks: %+v", moved)
	}
	if tag := (RecordKey{Hash: [32]byte{15: 1, 16: 2}}).Tag(); tag != (invalidation.Tag{15: 1}) {
		t.Errorf("a record key's tag is the first half of its hash: %x", tag)
	}
	for rules, want := range map[Rules]bool{{}: false, {RefreshWithin: 1}: true, {XFetch: 0.1}: true, {RefreshWithin: -1, XFetch: -1}: false} {
		if got := rules.RefreshesAhead(); got != want {
			t.Errorf("%+v refresh ahead: %t", rules, got)
		}
	}
	combined := &Entry{Body: Content{Bytes: make([]byte, 5), buffer: &rangeBuffer{array: make([]byte, 9)}}}
	roomy := &Entry{Body: Content{Bytes: make([]byte, 5, 20)}}
	for e, want := range map[*Entry]int64{combined: 9, roomy: 20} {
		if e.Derive(); e.Size != entryOverhead+want {
			t.Errorf("the room that a body has is charged: %d", e.Size-entryOverhead)
		}
	}
}
