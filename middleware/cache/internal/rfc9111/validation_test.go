package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9111 §4.3.1: the request with which the origin is asked.
func TestConditionalHeader(t *testing.T) {
	a, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: "a" | Last-Modified: `+date(-100), "", private)
	b, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: W/"b"`, "", private)
	for _, test := range []struct {
		name     string
		request  string
		selected *stored.Entry
		variants []*stored.Entry
		want     string
	}{
		{"both validators, and the tags of all variants", "X: 1", a, []*stored.Entry{a, b}, `X: 1 | If-None-Match: "a", W/"b" | If-Modified-Since: ` + date(-100)},
		{"no date", "", b, []*stored.Entry{b}, `If-None-Match: W/"b"`},
		{"beside the caller's tags", `If-None-Match: "c", "a"`, a, []*stored.Entry{a}, `If-None-Match: "c", "a" | If-Modified-Since: ` + date(-100)},
		{"the caller's date gives way", `If-Modified-Since: ` + date(-5), a, []*stored.Entry{a}, `If-None-Match: "a" | If-Modified-Since: ` + date(-100)},
		{"no variant fits", "", nil, []*stored.Entry{a, b}, `If-None-Match: "a", W/"b"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ConditionalHeader(header(test.request), test.selected, test.variants, asks(test.request), new([1]string))
			if diff := cmp.Diff(header(test.want), got); diff != "" {
				t.Errorf("header (-want +got)\n%s", diff)
			}
		})
	}
}

// RFC 9111 §4.3.4: which stored response a 304 is about.
func TestConfirmedBy304(t *testing.T) {
	a, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: "a" | Last-Modified: `+date(-100), "", private)
	b, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: "b"`, "", private)
	w, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: W/"w"`, "", private)
	d, _ := entryOf(200, `Cache-Control: max-age=1 | Last-Modified: `+date(-50), "", private)
	for _, test := range []struct {
		name     string
		header   string
		request  string
		selected *stored.Entry
		variants []*stored.Entry
		want     *stored.Entry
	}{
		{"strong tag of the selected one", `ETag: "a"`, ``, a, []*stored.Entry{a, b}, a},
		{"strong tag of another variant", `ETag: "b"`, ``, a, []*stored.Entry{a, b}, b},
		{"strong tag of none", `ETag: "c"`, ``, a, []*stored.Entry{a, b}, nil},
		{"strong tag of none, with the date of one", `ETag: "c" | Last-Modified: ` + date(-100), ``, a, []*stored.Entry{a, b}, nil},
		{"a strong tag confirms the only one, which is weak", `ETag: "w"`, ``, w, []*stored.Entry{w}, w},
		{"a strong tag confirms the only variant, which is weak", `ETag: "w"`, ``, nil, []*stored.Entry{w}, w},
		{"a strong tag of the only one, about which the caller asks", `ETag: "w"`, `If-None-Match: W/"w"`, w, []*stored.Entry{w}, w},
		{"a strong tag confirms no weak one of several", `ETag: "w"`, ``, w, []*stored.Entry{w, b}, nil},
		{"a strong tag confirms no weak one if the caller asks about another", `ETag: "w"`, `If-None-Match: "c"`, w, []*stored.Entry{w}, nil},
		{"another strong tag confirms no weak one", `ETag: "x"`, ``, w, []*stored.Entry{w}, nil},
		{"weak tag", `ETag: W/"w"`, ``, w, []*stored.Entry{w, b}, w},
		{"weak tag of a strong one", `ETag: W/"a"`, ``, a, []*stored.Entry{a}, a},
		{"date", `Last-Modified: ` + date(-50), ``, d, []*stored.Entry{d}, d},
		{"date in another format", `Last-Modified: ` + at(-50).Format("Monday, 02-Jan-06 15:04:05 GMT"), ``, d, []*stored.Entry{d}, d},
		{"other date", `Last-Modified: ` + date(-51), ``, d, []*stored.Entry{d}, nil},
		{"no validator, one offered", ``, ``, a, []*stored.Entry{a}, a},
		{"no validator, and the caller asks about the same", ``, `If-None-Match: W/"a", *`, a, []*stored.Entry{a}, a},
		{"no validator, and the caller asks about another", ``, `If-None-Match: "c"`, a, []*stored.Entry{a}, nil},
		{"no validator, two offered", ``, ``, a, []*stored.Entry{a, b}, nil},
		{"no validator, none selected", ``, ``, nil, []*stored.Entry{a}, nil},
		{"no validator, none selected, and the caller asks", ``, `If-None-Match: "c"`, nil, []*stored.Entry{a}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Confirmed(header(test.header), test.selected, test.variants, asks(test.request)); got != test.want {
				t.Errorf("confirmed %p, want %p", got, test.want)
			}
		})
	}
}

// RFC 9111 §3.2: how a stored header is updated.
func TestUpdatingStoredHeaderFields(t *testing.T) {
	storedFields := header("A: 1 | B: 2 | Content-Encoding: gzip | Content-Length: 5 | Content-Range: bytes 0-4/5 | Content-Type: a/b | Date: " + date(-100))
	update := header("B: 3 | C: 4 | Connection: D | D: 5 | Content-Encoding: br | Content-Length: 0 | Content-Range: x | Content-Type: a/c | Age: 7")
	want := header("A: 1 | B: 3 | C: 4 | Content-Encoding: gzip | Content-Length: 5 | Content-Range: bytes 0-4/5 | Content-Type: a/c | Age: 7 | Date: " + date(0))
	if diff := cmp.Diff(want, FreshenedHeader(stored.NewHeader(storedFields), update, t0, nil)); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
	if storedFields.Get("B") != "2" {
		t.Error("the stored header must stay as it is")
	}
}

// RFC 9111 §4.3.2: the caller's own condition.
func TestReceivedConditions(t *testing.T) {
	const lm = "Last-Modified: "
	for _, test := range []struct {
		name              string
		response, request string
		want              bool
	}{
		{"tag", `ETag: "a"`, `If-None-Match: "a"`, true},
		{"weak comparison", `ETag: W/"a"`, `If-None-Match: "a"`, true},
		{"list", `ETag: "a"`, `If-None-Match: "b" | If-None-Match: "c", "a"`, true},
		{"asterisk", ``, `If-None-Match: *`, true},
		{"a backslash in a tag escapes nothing", `ETag: "b"`, `If-None-Match: "a\", "b"`, true},
		{"white space and empty members", `ETag: "b"`, `If-None-Match: , ,"a" ,"b"`, true},
		{"other tag", `ETag: "a"`, `If-None-Match: "b"`, false},
		{"no tag stored", ``, `If-None-Match: "b"`, false},
		{"the tag has precedence over the date", `ETag: "a" | ` + lm + date(-100), `If-None-Match: "b" | If-Modified-Since: ` + date(0), false},
		{"date", lm + date(-100), `If-Modified-Since: ` + date(-100), true},
		{"later date", lm + date(-100), `If-Modified-Since: ` + date(-99), true},
		{"earlier date", lm + date(-100), `If-Modified-Since: ` + date(-101), false},
		{"by Date, where there is no Last-Modified", `Date: ` + date(-50), `If-Modified-Since: ` + date(-50), true},
		{"by Date, too late", `Date: ` + date(-50), `If-Modified-Since: ` + date(-51), false},
		{"no date at all", ``, `If-Modified-Since: ` + date(0), true},
		{"malformed date", lm + date(-100), `If-Modified-Since: yesterday`, false},
		{"RFC 850 date", lm + date(-100), `If-Modified-Since: ` + at(-100).Format("Monday, 02-Jan-06 15:04:05 GMT"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: max-age=60 | "+test.response, "", private)
			if got := notModified(asks(test.request), e, t0); got != test.want {
				t.Errorf("not modified = %v, want %v", got, test.want)
			}
		})
	}
}

// FuzzUpdate: a 304 never changes the stored header, nor what describes the stored bytes.
func FuzzUpdate(f *testing.F) {
	f.Add("Content-Encoding", "gzip", "Connection", "X")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		kept := stored.NewHeader(http.Header{"Content-Encoding": {"br"}, "Content-Length": {"5"}, "X": {"1"}})
		merged := FreshenedHeader(kept, http.Header{http.CanonicalHeaderKey(name1): {value1}, http.CanonicalHeaderKey(name2): {value2}}, time.Unix(0, 0), nil)
		for _, h := range []http.Header{kept.Map(), merged} {
			if h.Get("Content-Encoding") != "br" || h.Get("Content-Length") != "5" {
				t.Fatalf("%v", h)
			}
		}
		if kept.Get("X") != "1" || merged.Get("Connection") != "" {
			t.Fatalf("stored %v, merged %v", kept.Map(), merged)
		}
	})
}

// RFC 9111 §4.3.1: what becomes of the caller's own conditions in a request that validates.
func TestConditionalHeaderReplacesTheCallersConditions(t *testing.T) {
	tagged, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: "a"`, "", private)
	undated, _ := entryOf(200, "Cache-Control: max-age=1", "", private)
	part := partOf(0, 4, 10)
	other := partOf(5, 9, 10)
	retag(other, "b")
	for _, test := range []struct {
		name     string
		request  http.Header
		selected *stored.Entry
		variants []*stored.Entry
		want     http.Header
	}{
		{"an asterisk", header("If-None-Match: *"), tagged, []*stored.Entry{tagged}, header(`If-None-Match: "a"`)},
		{"a date beside a tag", header("If-Modified-Since: " + date(-5)), tagged, []*stored.Entry{tagged}, header(`If-None-Match: "a"`)},
		{"a date, and nothing to ask about", header("If-Modified-Since: " + date(-5)), undated, []*stored.Entry{undated}, header("If-Modified-Since: " + date(-5))},
		{"nothing, and nothing to ask about", header("A: 1"), undated, []*stored.Entry{undated}, header("A: 1")},
		{"an asterisk, and nothing to ask about", header("If-None-Match: *"), undated, []*stored.Entry{undated}, header("")},
		{"names in lower case", http.Header{"if-none-match": {"*"}, "if-modified-since": {date(0)}}, tagged, []*stored.Entry{tagged}, header(`If-None-Match: "a"`)},
		{"a selected part", header(""), part, []*stored.Entry{part, other}, header(`If-None-Match: "a" | If-Modified-Since: ` + date(-100))},
		{"a part that is not selected", header(""), tagged, []*stored.Entry{tagged, other}, header(`If-None-Match: "a"`)},
		{"no header", nil, tagged, []*stored.Entry{tagged}, header(`If-None-Match: "a"`)},
	} {
		kept := test.request.Clone()
		a := ReadRequest(modeDefault, &http.Request{Header: test.request}, private)
		if diff := cmp.Diff(test.want, ConditionalHeader(test.request, test.selected, test.variants, &a, new([1]string))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
		if diff := cmp.Diff(kept, test.request); diff != "" {
			t.Errorf("%s: the caller's header was changed\n%s", test.name, diff)
		}
	}
	since := header("If-Modified-Since: " + date(-5))
	a := ReadRequest(modeDefault, &http.Request{Header: since}, private)
	ConditionalHeader(since, undated, nil, &a, new([1]string))["If-Modified-Since"][0] = "changed"
	if since.Get("If-Modified-Since") != date(-5) {
		t.Error("the lines of the caller's header are shared")
	}
}

// RFC 9111 §4.3.4: a 304 confirms nothing that it was not asked about, and of several that it may mean the latest.
func TestConfirmedBy304AmongParts(t *testing.T) {
	whole, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: W/"a" | Date: `+date(-50), "", private)
	later, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: W/"a" | Date: `+date(-10), "", private)
	part := partOf(0, 4, 10)
	for _, test := range []struct {
		name     string
		selected *stored.Entry
		variants []*stored.Entry
		tag      string
		want     *stored.Entry
	}{
		{"a part that was not offered", nil, []*stored.Entry{part}, `ETag: "a"`, nil},
		{"a part that was selected", part, []*stored.Entry{part}, `ETag: "a"`, part},
		{"the later of two", nil, []*stored.Entry{whole, later}, `ETag: W/"a"`, later},
		{"the later of two, in the other order", nil, []*stored.Entry{later, whole}, `ETag: W/"a"`, later},
		{"the selected one, though another is later", whole, []*stored.Entry{whole, later}, `ETag: W/"a"`, whole},
	} {
		if got := Confirmed(header(test.tag), test.selected, test.variants, asks("")); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// RFC 9111 §3.2: what an update leaves as it is: what describes the stored bytes, cookies, a weak tag, and the caller's view of the stored lines.
func TestUpdatingStoredHeaderFieldsThatStay(t *testing.T) {
	kept := header(`Content-Digest: old | Content-Md5: old | Content-Encoding: gzip | ETag: W/"a" | Set-Cookie: a=b | Date: ` + date(-100))
	for _, test := range []struct{ name, update, want string }{
		{"what describes the content", `Content-Digest: new | Content-Md5: new | Content-Encoding: br | Content-Range: x | Date: ` + date(-1), `Content-Digest: old | Content-Md5: old | Content-Encoding: gzip | ETag: W/"a" | Set-Cookie: a=b | Date: ` + date(-1)},
		{"cookies", `Set-Cookie: new=1 | Date: ` + date(-1), `Content-Digest: old | Content-Md5: old | Content-Encoding: gzip | ETag: W/"a" | Set-Cookie: a=b | Date: ` + date(-1)},
		{"the strong form of the weak tag", `ETag: "a"`, `Content-Digest: old | Content-Md5: old | Content-Encoding: gzip | ETag: W/"a" | Set-Cookie: a=b | Date: ` + date(0)},
		{"another tag", `ETag: "b"`, `Content-Digest: old | Content-Md5: old | Content-Encoding: gzip | ETag: "b" | Set-Cookie: a=b | Date: ` + date(0)},
	} {
		if diff := cmp.Diff(header(test.want), FreshenedHeader(stored.NewHeader(kept), header(test.update), t0, nil)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
	strong := header(`ETag: "a" | Date: ` + date(0))
	if got := FreshenedHeader(stored.NewHeader(strong), header(`ETag: W/"a"`), t0, nil).Get("Etag"); got != `W/"a"` {
		t.Errorf("a strong tag that the origin weakens is %s", got)
	}
	if got := FreshenedHeader(stored.NewHeader(header("A: 1")), header("Etag: \"a\""), t0, nil).Get("Etag"); got != `"a"` {
		t.Errorf("a tag where none was stored is %s", got)
	}
	if diff := cmp.Diff(header("A: 1 | Date: "+date(0)), FreshenedHeader(stored.NewHeader(header("A: 1")), nil, t0, nil)); diff != "" {
		t.Errorf("an update without fields (-want +got)\n%s", diff)
	}
	update := header("A: 1 | A: 2 | B: 3")
	merged := FreshenedHeader(stored.NewHeader(header("C: 4")), update, t0, nil)
	merged["A"] = append(merged["A"], "more")
	if merged.Get("B") != "3" || len(update["A"]) != 2 {
		t.Error("a field that is appended to runs into another")
	}
}

// RFC 9110 §13.2.1: conditions apply to successful responses.
func TestReceivedConditionsByStatus(t *testing.T) {
	for status, want := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: false} {
		e := &stored.Entry{Status: status, Header: stored.NewHeader(http.Header{})}
		if got := notModified(asks("If-None-Match: *"), e, t0); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

func TestReceivedConditionIsAnsweredBy304(t *testing.T) {
	for _, test := range []struct {
		tag, request string
		want         bool
	}{
		{`ETag: "a"`, `If-None-Match: "b", W/"a"`, true},
		{`ETag: "a"`, `If-None-Match: "b"`, false},
		{`ETag: "a"`, `If-None-Match: *`, false},
		{`ETag: "a"`, ``, false},
		{``, `If-None-Match: "a"`, false},
	} {
		if got := AnswersCaller(header(test.tag), asks(test.request)); got != test.want {
			t.Errorf("%s for %s: %v, want %v", test.tag, test.request, got, test.want)
		}
	}
}

// RFC 9111 §4.3.5: whether a 200 to HEAD is about the stored response, of five bytes.
func TestFresheningByHead(t *testing.T) {
	e, _ := entryOf(200, `Cache-Control: max-age=1 | ETag: "a" | Last-Modified: `+date(-100), "", private)
	untagged, _ := entryOf(200, "Cache-Control: max-age=1", "", private)
	other, _ := entryOf(404, "Cache-Control: max-age=1", "", private)
	decompressed := e.Clone()
	decompressed.Uncompressed = true
	decompressed.Derive()
	for _, test := range []struct {
		name, head string
		e          *stored.Entry
		want       bool
	}{
		{"nothing said", "", e, true},
		{"all the same", `ETag: "a" | Content-Length: 5 | Last-Modified: ` + date(-100), e, true},
		{"another tag", `ETag: "b"`, e, false},
		{"a tag where none is stored", `ETag: "b"`, untagged, false},
		{"another date", "Last-Modified: " + date(-99), e, false},
		{"a malformed date", "Last-Modified: x", e, false},
		{"a malformed date where none is stored", "Last-Modified: x", untagged, false},
		{"another length", "Content-Length: 6", e, false},
		{"another length and the same tag", `ETag: "a" | Content-Length: 6`, e, false},
		{"another length and another weakness", `ETag: W/"a" | Content-Length: 6`, e, true},
		{"another length of what was decompressed", "Content-Length: 6", decompressed, true},
		{"a malformed length", "Content-Length: x", e, true},
		{"a stored error", "", other, false},
	} {
		if got := Describes(header(test.head), test.e); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
