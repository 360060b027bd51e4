package rfc9111

import (
	"github.com/google/go-cmp/cmp"
	"io"
	"net/http"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9110 §14: ranges of a whole response of 5 bytes.
func TestRangesOfAWholeResponse(t *testing.T) {
	const etag = `ETag: "a" | Last-Modified: `
	for _, test := range []struct {
		name, request string
		status        int
		contentRange  string
	}{
		{"first bytes", "Range: bytes=0-1", 206, "bytes 0-1/5"},
		{"open", "Range: bytes=1-", 206, "bytes 1-4/5"},
		{"suffix", "Range: bytes=-2", 206, "bytes 3-4/5"},
		{"suffix longer than the whole", "Range: bytes=-9", 206, "bytes 0-4/5"},
		{"beyond the end", "Range: bytes=3-99", 206, "bytes 3-4/5"},
		{"unit in capitals", "Range: BYTES=0-0", 206, "bytes 0-0/5"},
		{"not satisfiable", "Range: bytes=5-", 416, ""},
		{"empty suffix", "Range: bytes=-0", 416, ""},
		{"If-Range with the tag", `Range: bytes=0-1 | If-Range: "a"`, 206, "bytes 0-1/5"},
		{"If-Range with another tag", `Range: bytes=0-1 | If-Range: "b"`, 0, ""},
		{"If-Range with a weak tag", `Range: bytes=0-1 | If-Range: W/"a"`, 0, ""},
		{"If-Range with the date", `Range: bytes=0-1 | If-Range: ` + date(-100), 206, "bytes 0-1/5"},
		{"If-Range with another date", `Range: bytes=0-1 | If-Range: ` + date(-99), 0, ""},
		{"the condition comes first", `Range: bytes=0-1 | If-None-Match: "a"`, 304, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: max-age=60 | Date: "+date(0)+" | "+etag+date(-100), "", private)
			got := Shaped(asks(test.request), e, t0)
			if got.Status != test.status || test.contentRange != "" && got.Part.String() != test.contentRange {
				t.Errorf("%d %s, want %d %s", got.Status, got.Part, test.status, test.contentRange)
			}
		})
	}
	nothing := &stored.Entry{Status: 200, Header: stored.NewHeader(http.Header{})}
	for request, want := range map[string]int{"Range: bytes=-5": 0, "Range: bytes=-0": 416, "Range: bytes=0-": 416} {
		if got := Shaped(asks(request), nothing, t0); got.Status != want {
			t.Errorf("%s of nothing: %d, want %d", request, got.Status, want)
		}
	}
	for _, lines := range [][]string{{"bytes=1"}, {"bytes=-"}, {"bytes=2-1"}, {"bytes=a-b"}, {"lines=0-1"}, {"bytes=0-1,2-3"}, {"bytes 0-1"}, {"bytes=0-1", "bytes=2-3"}, {"bytes=+1-2"}, {"bytes=0-99999999999999999999"}} {
		if r, ok := parseRange(lines); ok {
			t.Errorf("%q is read as %+v", lines, r)
		}
	}
}

// RFC 9110 §14.4: Content-Range, and what its bytes really are.
func TestContentRange(t *testing.T) {
	for _, test := range []struct {
		line string
		size int64
		want string
	}{
		{"bytes 0-4/10", 5, "bytes 0-4/10"}, {"bytes 0-4/*", 5, "bytes 0-4/*"}, {"BYTES 0-4/10", 5, "bytes 0-4/10"},
		{"bytes 4-9/10", 5, "bytes 4-8/9"}, {"bytes 0-5/10", 5, "bytes 0-4/10"},
		{"bytes 0-4/10", 6, ""}, {"bytes 0-4/10", 0, ""}, {"bytes 4-0/10", 5, ""}, {"bytes 0-10/10", 11, ""}, {"bytes */10", 5, ""}, {"bytes 0-4", 5, ""}, {"x", 5, ""},
	} {
		s, ok := ParseContentRange([]string{test.line})
		if ok {
			s, ok = s.Holding(test.size)
		}
		if ok != (test.want != "") || ok && s.String() != test.want {
			t.Errorf("%q with %d bytes is %s, %v, want %q", test.line, test.size, s, ok, test.want)
		}
	}
}

// FuzzRange: what is cut out of a stored body is always within it, and is what net/http would say.
func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1", "bytes 0-4/5", int64(5))
	f.Add("bytes=-1", "bytes 4-9/10", int64(5))
	f.Fuzz(func(t *testing.T, asked, kept string, size int64) {
		r, ok := parseRange([]string{asked})
		if !ok || size < 0 || size > 1000 {
			return
		}
		if s, ok := r.of(size); ok && (s.First < 0 || s.Last >= size || s.First > s.Last) {
			t.Fatalf("%q of %d bytes is %v", asked, size, s)
		}
		part, ok := ParseContentRange([]string{kept})
		if !ok {
			return
		}
		if part, ok = part.Holding(size); !ok {
			return
		}
		e := &stored.Entry{Part: &part, Body: stored.Content{Bytes: make([]byte, size)}, Status: 206}
		a := &Request{ranged: true, rng: r}
		if wanted, ok := holds(a, e); ok {
			body := e.Content(nil)
			body.(stored.Narrower).Narrow(wanted.First-e.First(), wanted.Size())
			if got, err := io.ReadAll(body); err != nil || int64(len(got)) != wanted.Size() {
				t.Fatalf("%q of %q: %d bytes for %v: %v", asked, kept, len(got), wanted, err)
			}
		}
	})
}

// RFC 9110 §14.1.2: which single ranges are read, and what they are of a representation with ten bytes.
func TestRangeOfTenBytes(t *testing.T) {
	for line, want := range map[string]string{
		"bytes=0-0": "bytes 0-0/10", "bytes=9-": "bytes 9-9/10", "bytes=0-9": "bytes 0-9/10", "bytes=0-10": "bytes 0-9/10", "bytes=-10": "bytes 0-9/10", "bytes=-1": "bytes 9-9/10",
		" bytes= 2-3 ": "bytes 2-3/10", "bytes=5-5": "bytes 5-5/10", "bytes=09-9": "bytes 9-9/10", "bytes=0-999999999999999999": "bytes 0-9/10",
		"bytes=10-": "none", "bytes=10-10": "none", "bytes=-0": "none", "bytes=11-20": "none",
		"bytes=0-1000000000000000000": "", "bytes=1": "", "bytes=": "", "bytes": "", "bytes=0-1,": "", "bytes=-": "", "bytes=/-1": "", "bytes=/-": "", "bytes=:-1": "", "bytes=0-x": "", "bytes=x-1": "", "bytes=-x": "", "items=0-1": "",
	} {
		r, ok := parseRange([]string{line})
		got := ""
		if ok {
			got = "none"
			if s, ok := r.of(10); ok {
				got = s.String()
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	if _, ok := parseRange(nil); ok {
		t.Error("no line is a range")
	}
}

// RFC 9110 §14.4: Content-Range fields that are malformed or say what cannot be.
func TestContentRangeMalformed(t *testing.T) {
	for _, line := range []string{
		"0-4/10", "bytes 0-4", "bytes 04/10", "bytes x-4/10", "bytes 0-x/10", "bytes -4/10", "bytes 0-/10", "bytes 4-3/10", "bytes 0-4/x", "bytes 0-4/", "bytes 0-10/10", "bytes 0-9/9", "",
	} {
		if s, ok := ParseContentRange([]string{line}); ok {
			t.Errorf("%q is read as %v", line, s)
		}
	}
	for _, lines := range [][]string{nil, {"bytes 0-4/10", "bytes 0-4/10"}} {
		if s, ok := ParseContentRange(lines); ok {
			t.Errorf("%q is read as %v", lines, s)
		}
	}
	for line, want := range map[string]stored.ContentRange{
		"bytes 3-3/10": {First: 3, Last: 3, Complete: 10}, "bytes 0-9/10": {First: 0, Last: 9, Complete: 10}, "bytes 0-0/1": {First: 0, Last: 0, Complete: 1}, " bytes 1-2/* ": {First: 1, Last: 2, Complete: -1},
	} {
		if s, ok := ParseContentRange([]string{line}); !ok || s != want {
			t.Errorf("%q is read as %v, %v", line, s, ok)
		}
	}
}

// partOf makes a stored part with a strong tag.
func partOf(first, last, complete int64) *stored.Entry {
	e, _ := entryOf(200, `Cache-Control: max-age=60 | ETag: "a" | Last-Modified: `+date(-100)+" | Date: "+date(0), "", private)
	part := e.Clone()
	part.Status = 206
	part.Part = &stored.ContentRange{First: first, Last: last, Complete: complete}
	part.Derive()
	return part
}

// retag gives an entry another entity tag.
func retag(e *stored.Entry, tag string) {
	h := e.Header.Map()
	h["Etag"] = []string{tag}
	e.Header = stored.NewHeader(h)
	e.Derive()
}

// RFC 9111 §3.3: which ranges a stored part has all bytes of.
func TestRangesOfAStoredPart(t *testing.T) {
	for _, test := range []struct {
		name                  string
		first, last, complete int64
		request, want         string
	}{
		{"all of it", 2, 5, 10, "Range: bytes=2-5", "bytes 2-5/10"},
		{"within", 2, 5, 10, "Range: bytes=3-4", "bytes 3-4/10"},
		{"one byte before", 2, 5, 10, "Range: bytes=1-4", ""},
		{"one byte behind", 2, 5, 10, "Range: bytes=3-6", ""},
		{"no range", 2, 5, 10, "", ""},
		{"the end", 6, 9, 10, "Range: bytes=7-", "bytes 7-9/10"},
		{"the end, by a suffix", 6, 9, 10, "Range: bytes=-3", "bytes 7-9/10"},
		{"beyond the end", 6, 9, 10, "Range: bytes=8-20", "bytes 8-9/10"},
		{"not satisfiable", 6, 9, 10, "Range: bytes=10-20", ""},
		{"unknown length", 2, 5, -1, "Range: bytes=3-5", "bytes 3-5/*"},
		{"unknown length, from zero", 0, 0, -1, "Range: bytes=0-0", "bytes 0-0/*"},
		{"unknown length, all of it", 2, 5, -1, "Range: bytes=2-5", "bytes 2-5/*"},
		{"unknown length, one byte behind", 2, 5, -1, "Range: bytes=3-6", ""},
		{"unknown length, open", 2, 5, -1, "Range: bytes=3-", ""},
		{"unknown length, a suffix", 2, 5, -1, "Range: bytes=-2", ""},
		{"If-Range holds", 2, 5, 10, `Range: bytes=2-5 | If-Range: "a"`, "bytes 2-5/10"},
		{"If-Range does not hold", 2, 5, 10, `Range: bytes=2-5 | If-Range: "b"`, ""},
	} {
		e := partOf(test.first, test.last, test.complete)
		s, ok := holds(asks(test.request), e)
		if ok != (test.want != "") || ok && s.String() != test.want {
			t.Errorf("%s: %v, %v, want %q", test.name, s, ok, test.want)
		}
		if form := Shaped(asks(test.request), e, t0); ok && (form.Status != 206 || form.Part != s) {
			t.Errorf("%s: answered as %+v", test.name, form)
		}
	}
	if s, ok := holds(asks(""), &stored.Entry{}); !ok || s != (stored.ContentRange{}) {
		t.Error("a whole response holds everything")
	}
}

// RFC 9110 §13.1.5: If-Range is a strong comparison. Two lines, or a date within a second of Date, compare as nothing does.
func TestIfRange(t *testing.T) {
	e := partOf(0, 4, 10)
	for _, test := range []struct {
		lines []string
		want  bool
	}{
		{nil, true},
		{[]string{`"a"`}, true},
		{[]string{` "a" `}, true},
		{[]string{`"a"`, `"a"`}, false},
		{[]string{`W/"a"`}, false},
		{[]string{date(-100)}, true},
		{[]string{date(-99)}, false},
		{[]string{"yesterday"}, false},
	} {
		if got := ifRangeHolds(&Request{ifRange: test.lines}, e); got != test.want {
			t.Errorf("%q: %v, want %v", test.lines, got, test.want)
		}
	}
	for seconds, want := range map[int]bool{-2: true, -1: true, 0: false} {
		e, _ := entryOf(200, "Cache-Control: max-age=60 | Date: "+date(0)+" | Last-Modified: "+date(seconds), "", private)
		if got := ifRangeHolds(&Request{ifRange: []string{date(seconds)}}, e); got != want {
			t.Errorf("modified %d s before Date: %v, want %v", -seconds, got, want)
		}
	}
	undated := &stored.Entry{Received: t0}
	undated.Derive()
	if ifRangeHolds(&Request{ifRange: []string{"yesterday"}}, undated) {
		t.Error("a malformed date equals no date at all")
	}
}

// RFC 9111 §3.3, §3.4: the request that makes a stored part whole, and which responses to it do.
func TestRangeCompletion(t *testing.T) {
	weak := partOf(0, 4, 10)
	retag(weak, `W/"a"`)
	for _, test := range []struct {
		name, missing string
		part          *stored.Entry
	}{
		{"the head is stored", "bytes=5-", partOf(0, 4, 10)},
		{"all but one byte is stored", "bytes=9-", partOf(0, 8, 10)},
		{"the tail is stored", "bytes=0-4", partOf(5, 9, 10)},
		{"all but the first byte is stored", "bytes=0-0", partOf(1, 9, 10)},
		{"a long head is stored", "bytes=12-", partOf(0, 11, 100)},
		{"a long tail is stored", "bytes=0-24", partOf(25, 99, 100)},
		{"the middle is stored", "", partOf(1, 8, 10)},
		{"all of it is stored", "", partOf(0, 9, 10)},
		{"an unknown length", "", partOf(0, 4, -1)},
		{"a weak tag", "", weak},
		{"no part", "", &stored.Entry{}},
	} {
		if got, ok := remainder(test.part); got != test.missing || ok != (test.missing != "") {
			t.Errorf("%s: %q, %v, want %q", test.name, got, ok, test.missing)
		}
	}
	want := header(`A: 1 | Range: bytes=5- | If-Range: "a"`)
	request := header("A: 1 | Range: x")
	if diff := cmp.Diff(want, CompletingHeader(request, partOf(0, 4, 10))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if request.Get("Range") != "x" {
		t.Error("the caller's header was changed")
	}
	untagged := partOf(0, 4, 10)
	retag(untagged, "")
	if diff := cmp.Diff(header("Range: bytes=5-"), CompletingHeader(nil, untagged)); diff != "" {
		t.Errorf("without a tag (-want +got)\n%s", diff)
	}
	for _, test := range []struct {
		name, response string
		part           *stored.Entry
		want           bool
	}{
		{"the tail", `Content-Range: bytes 5-9/10 | ETag: "a"`, partOf(0, 4, 10), true},
		{"the head", `Content-Range: bytes 0-4/10 | ETag: "a"`, partOf(5, 9, 10), true},
		{"another tag", `Content-Range: bytes 5-9/10 | ETag: "b"`, partOf(0, 4, 10), false},
		{"another length", `Content-Range: bytes 5-10/11 | ETag: "a"`, partOf(0, 4, 10), false},
		{"a gap", `Content-Range: bytes 6-9/10 | ETag: "a"`, partOf(0, 4, 10), false},
		{"an overlap", `Content-Range: bytes 4-9/10 | ETag: "a"`, partOf(0, 4, 10), false},
		{"not to the end", `Content-Range: bytes 5-8/10 | ETag: "a"`, partOf(0, 4, 10), false},
		{"the stored part does not begin at zero", `Content-Range: bytes 5-9/10 | ETag: "a"`, partOf(1, 4, 10), false},
		{"the head, with a gap", `Content-Range: bytes 0-3/10 | ETag: "a"`, partOf(5, 9, 10), false},
		{"the head, with an overlap", `Content-Range: bytes 0-5/10 | ETag: "a"`, partOf(5, 9, 10), false},
		{"not from zero", `Content-Range: bytes 1-4/10 | ETag: "a"`, partOf(5, 9, 10), false},
		{"the stored part does not end at the end", `Content-Range: bytes 0-4/10 | ETag: "a"`, partOf(5, 8, 10), false},
		{"no Content-Range", `ETag: "a"`, partOf(0, 4, 10), false},
	} {
		if s, ok := Completes(test.part, header(test.response)); ok != test.want || ok && s.Size() != 5 {
			t.Errorf("%s: %v, %v, want %v", test.name, s, ok, test.want)
		}
	}
}

// RFC 9110 §13.2.2, §14.2: how a whole response answers a range, with a status of its own, an unknown length or no bytes.
func TestRangesOfWholeResponsesByStatusAndLength(t *testing.T) {
	for _, test := range []struct {
		name, request string
		status        int
		complete      int64
		want          int
	}{
		{"200", "Range: bytes=0-0", 200, 5, 206},
		{"404", "Range: bytes=0-0", 404, 5, 0},
		{"204", "Range: bytes=0-0", 204, 5, 0},
		{"length unknown", "Range: bytes=0-0", 200, -1, -1},
		{"length unknown, no range", "", 200, -1, 0},
		{"empty", "Range: bytes=0-0", 200, 0, 416},
		{"empty, a suffix", "Range: bytes=-1", 200, 0, 0},
		{"empty, an empty suffix", "Range: bytes=-0", 200, 0, 416},
		{"one byte", "Range: bytes=-1", 200, 1, 206},
		{"If-Range does not hold", `Range: bytes=0-0 | If-Range: "b"`, 200, 5, 0},
		{"condition", `If-None-Match: "a"`, 200, 5, 304},
		{"condition that is false", `If-None-Match: "b"`, 200, 5, 0},
	} {
		e, _ := entryOf(test.status, `Cache-Control: max-age=60 | ETag: "a"`, "", private)
		got := ShapedAs(asks(test.request), e, test.complete, t0)
		if got.Status != test.want || test.want == 416 && got.Part.Complete != test.complete {
			t.Errorf("%s: %+v, want %d", test.name, got, test.want)
		}
	}
}
