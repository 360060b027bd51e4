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
			got := ConditionalHeader(header(test.request), test.selected, test.variants, asks(test.request))
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
	if diff := cmp.Diff(want, FreshenedHeader(storedFields, update, t0)); diff != "" {
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
		stored := http.Header{"Content-Encoding": {"br"}, "Content-Length": {"5"}, "X": {"1"}}
		merged := FreshenedHeader(stored, http.Header{http.CanonicalHeaderKey(name1): {value1}, http.CanonicalHeaderKey(name2): {value2}}, time.Unix(0, 0))
		for _, h := range []http.Header{stored, merged} {
			if h.Get("Content-Encoding") != "br" || h.Get("Content-Length") != "5" {
				t.Fatalf("%v", h)
			}
		}
		if stored.Get("X") != "1" || merged.Get("Connection") != "" {
			t.Fatalf("stored %v, merged %v", stored, merged)
		}
	})
}
