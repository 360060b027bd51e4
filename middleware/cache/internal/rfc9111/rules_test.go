package rfc9111

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func date(seconds int) string { return at(seconds).Format(http.TimeFormat) }

// Header makes a header from lines "Name: value", separated by semicolons.
func header(lines string) http.Header {
	h := make(http.Header)
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

func newRequest(method, fields string) *http.Request {
	return &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: "h", Path: "/a"}, Header: header(fields)}
}

// asks reads a GET with these fields.
func asks(fields string) *Request {
	r := newRequest("GET", fields)
	a := ReadRequest(modeDefault, r, &Policy{})
	return &a
}

// entryOf makes an entry that was received at t0 in answer to a GET, and the reason why it may not be stored.
func entryOf(status int, response, request string, p *Policy) (*stored.Entry, string) {
	return storedBy(expiry.Default(), "GET", status, response, request, p)
}

func storedBy(s expiry.Strategy, method string, status int, response, request string, p *Policy) (*stored.Entry, string) {
	r := newRequest(method, request)
	resp := &http.Response{StatusCode: status, Header: header(response), ContentLength: 5}
	x := expiry.Exchange{Request: r, Response: resp, Now: t0, Shared: p.Shared, Targeted: p.Targeted}
	judged := Judge(x, s, InitialAge(resp.Header, t0, t0), CarriedBy(r))
	e := &stored.Entry{
		Status: status, Header: StoredHeader(resp.Header, t0, judged.Verdict.Overrules(), p), Body: stored.Content{Bytes: []byte("hello")},
		Selectors: NewSelectors(resp.Header["Vary"], r, &stored.HashKey{}), Received: t0, InitialAge: judged.Age, Rules: NewRules(&judged, p),
	}
	e.Derive()
	reason, _ := Storable(&judged, p)
	return e, reason
}

var (
	private = &Policy{}
	shared  = &Policy{Shared: true}
)

// RFC 9111 §3: which responses are stored. An empty reason means that the response is.
func TestStoringResponses(t *testing.T) {
	const (
		method    = "method"
		mute      = "no freshness, no validator"
		byDefault = "no explicit freshness, and status not cacheable by default"
		unshared  = "authorization, and the response is not marked as shareable"
	)
	for _, test := range []struct {
		name              string
		method            string
		status            int
		response, request string
		private, shared   string
	}{
		{"explicit freshness", "GET", 200, "Cache-Control: max-age=60", "", "", ""},
		{"Expires", "GET", 200, "Expires: " + date(60), "", "", ""},
		{"s-maxage alone", "GET", 200, "Cache-Control: s-maxage=60", "", mute, ""},
		{"heuristic", "GET", 200, "Last-Modified: " + date(-1000), "", "", ""},
		{"validator alone", "GET", 200, `ETag: "a"`, "", "", ""},
		{"nothing", "GET", 200, "", "", mute, mute},
		{"explicit freshness on any final status", "GET", 599, "Cache-Control: max-age=60", "", "", ""},
		{"public on any final status", "GET", 599, "Cache-Control: public | Last-Modified: " + date(-1000), "", "", ""},
		{"private on any final status", "GET", 599, "Cache-Control: private | Last-Modified: " + date(-1000), "", "", "private"},
		{"status not cacheable by default", "GET", 503, "Last-Modified: " + date(-1000), "", byDefault, byDefault},
		{"status not final", "GET", 103, "Cache-Control: max-age=60", "", "status not final", "status not final"},
		{"304", "GET", 304, "Cache-Control: max-age=60", "", "304 answers the caller's condition", "304 answers the caller's condition"},
		{"206 without a range", "GET", 206, "Cache-Control: max-age=60", "", "partial content of another kind than one range of bytes", "partial content of another kind than one range of bytes"},
		{"206", "GET", 206, "Cache-Control: max-age=60 | Content-Range: bytes 0-4/10", "Range: bytes=0-4", "", ""},
		{"206 of several parts", "GET", 206, "Cache-Control: max-age=60 | Content-Range: bytes 0-4/10 | Content-Type: Multipart/byteranges; boundary=a", "Range: bytes=0-4", "partial content of another kind than one range of bytes", "partial content of another kind than one range of bytes"},
		{"206 that nobody asked for", "GET", 206, "Cache-Control: max-age=60 | Content-Range: bytes 0-4/10", "", "partial content of another kind than one range of bytes", "partial content of another kind than one range of bytes"},
		{"412", "GET", 412, "Cache-Control: max-age=60", "", "the answer to a condition or a range, not to the URI", "the answer to a condition or a range, not to the URI"},
		{"416", "GET", 416, "Cache-Control: max-age=60", "", "the answer to a condition or a range, not to the URI", "the answer to a condition or a range, not to the URI"},
		{"huge header", "GET", 200, "Cache-Control: max-age=60 | Vary: " + strings.Repeat("A, ", 30000), "", "header exceeds 64 KiB", "header exceeds 64 KiB"},
		{"no-store", "GET", 200, "Cache-Control: max-age=60, no-store", "", "no-store", "no-store"},
		{"no-store in capitals on a second line", "GET", 200, "Cache-Control: max-age=60 | Cache-Control: NO-STORE", "", "no-store", "no-store"},
		{"must-understand", "GET", 200, "Cache-Control: max-age=60, no-store, must-understand", "", "", ""},
		{"must-understand, not understood", "GET", 599, "Cache-Control: max-age=60, no-store, must-understand", "", "must-understand, status not understood", "must-understand, status not understood"},
		{"private", "GET", 200, "Cache-Control: max-age=60, private", "", "", "private"},
		{"private with names", "GET", 200, `Cache-Control: max-age=60, private="a"`, "", "", ""},
		{"private with malformed names", "GET", 200, `Cache-Control: max-age=60, private="`, "", "", "private"},
		{"authorization", "GET", 200, "Cache-Control: max-age=60", "Authorization: a", "", unshared},
		{"empty authorization", "GET", 200, "Cache-Control: max-age=60", "Authorization:", "", unshared},
		{"authorization, public", "GET", 200, "Cache-Control: max-age=60, public", "Authorization: a", "", ""},
		{"authorization, must-revalidate", "GET", 200, "Cache-Control: max-age=60, must-revalidate", "Authorization: a", "", ""},
		{"authorization, s-maxage", "GET", 200, "Cache-Control: max-age=60, s-maxage=60", "Authorization: a", "", ""},
		{"authorization, malformed s-maxage", "GET", 200, "Cache-Control: max-age=60, s-maxage=x", "Authorization: a", "", unshared},
		{"authorization, malformed public", "GET", 200, "Cache-Control: max-age=60, public =1", "Authorization: a", "", unshared},
		{"cookie set with explicit freshness", "GET", 200, "Cache-Control: max-age=60 | Set-Cookie: a=b", "", "", ""},
		{"cookie set without", "GET", 200, "Last-Modified: " + date(-1000) + " | Set-Cookie: a=b", "", "", "set-cookie"},
		{"cookie set for someone known", "GET", 200, "Cache-Control: max-age=60 | Set-Cookie: a=b", "Cookie: a=c", "", "cookie, and the response is not marked as shareable"},
		{"cookie set for someone known, public", "GET", 200, "Cache-Control: max-age=60, public | Set-Cookie: a=b", "Cookie: a=c", "", "set-cookie"},
		{"cookie set for someone authorised, public", "GET", 200, "Cache-Control: max-age=60, public | Set-Cookie: a=b", "Authorization: a", "", "set-cookie"},
		{"cookie", "GET", 200, "Cache-Control: max-age=60", "Cookie: a=c", "", "cookie, and the response is not marked as shareable"},
		{"cookie, public", "GET", 200, "Cache-Control: max-age=60, public", "Cookie: a=c", "", ""},
		{"vary *", "GET", 200, "Cache-Control: max-age=60 | Vary: Accept | Vary: a, *", "", "vary *", "vary *"},
		{"vary on no name", "GET", 200, "Cache-Control: max-age=60 | Vary: a b", "", "vary on an invalid field name", "vary on an invalid field name"},
		{"vary on many fields", "GET", 200, "Cache-Control: max-age=60 | Vary: " + numbered("f%d", 65), "", "varies on more than 64 fields", "varies on more than 64 fields"},
		{"vary on many fields, just", "GET", 200, "Cache-Control: max-age=60 | Vary: " + numbered("f%d", 64), "", "", ""},
		{"many groups", "GET", 200, "Cache-Control: max-age=60 | Cache-Groups: " + numbered(`"g%d"`, 129), "", "more than 128 cache groups", "more than 128 cache groups"},
		{"many groups, just", "GET", 200, "Cache-Control: max-age=60 | Cache-Groups: " + numbered(`"g%d"`, 128), "", "", ""},
		{"vary named by connection", "GET", 200, "Cache-Control: max-age=60 | Vary: A | Connection: close, vary", "A: 1", "connection names a field that governs caches", "connection names a field that governs caches"},
		{"event stream", "GET", 200, "Cache-Control: max-age=60 | Content-Type: Text/Event-Stream; charset=utf-8", "", "event stream", "event stream"},
		{"HEAD", "HEAD", 200, "Cache-Control: max-age=60", "", method, method},
		{"PUT", "PUT", 200, "Cache-Control: max-age=60", "", method, method},
		{"QUERY", "QUERY", 200, "Cache-Control: max-age=60", "", "", ""},
		{"POST", "POST", 200, "Cache-Control: max-age=60", "", method, method},
		{"POST with its own Content-Location", "POST", 200, "Cache-Control: max-age=60 | Content-Location: /a", "", "", ""},
		{"POST with another Content-Location", "POST", 200, "Cache-Control: max-age=60 | Content-Location: /b", "", method, method},
		{"POST without explicit freshness", "POST", 200, "Last-Modified: " + date(-1000) + " | Content-Location: /a", "", method, method},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, got := storedBy(expiry.Default(), test.method, test.status, test.response, test.request, private); got != test.private {
				t.Errorf("private: %q, want %q", got, test.private)
			}
			if _, got := storedBy(expiry.Default(), test.method, test.status, test.response, test.request, shared); got != test.shared {
				t.Errorf("shared: %q, want %q", got, test.shared)
			}
		})
	}
}

// A strategy that overrules the server overrules no-store and no-cache, and never what protects one principal from another.
func TestStoringAgainstTheServersWord(t *testing.T) {
	hour := expiry.After(time.Hour)
	for _, test := range []struct {
		name            string
		s               expiry.Strategy
		status          int
		response        string
		private, shared string
	}{
		{"nothing said", hour, 200, "", "", ""},
		{"no-store", hour, 200, "Cache-Control: no-store", "", ""},
		{"private", hour, 200, "Cache-Control: private", "", "private"},
		{"vary *", hour, 200, "Vary: *", "vary *", "vary *"},
		{"server error", hour, 500, "", "status not cacheable by default", "status not cacheable by default"},
		{"server error, by status", expiry.ByStatus(map[int]expiry.Strategy{500: hour}), 500, "", "", ""},
		{"by status, as the server says, but not understood", expiry.ByStatus(map[int]expiry.Strategy{599: expiry.Default()}), 599, "Cache-Control: max-age=60, no-store, must-understand", "must-understand, status not understood", "must-understand, status not understood"},
		{"immediately, with a validator", expiry.AlwaysRevalidate(), 200, `ETag: "a"`, "", ""},
		{"immediately, without", expiry.AlwaysRevalidate(), 200, "Cache-Control: max-age=60", "expires immediately, no validator", "expires immediately, no validator"},
		{"do not cache", expiry.NoStore(), 200, "Cache-Control: max-age=60", "expiry says do not cache", "expiry says do not cache"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, got := storedBy(test.s, "GET", test.status, test.response, "", private); got != test.private {
				t.Errorf("private: %q, want %q", got, test.private)
			}
			if _, got := storedBy(test.s, "GET", test.status, test.response, "", shared); got != test.shared {
				t.Errorf("shared: %q, want %q", got, test.shared)
			}
		})
	}
	e, _ := storedBy(hour, "GET", 200, "Cache-Control: no-cache, must-revalidate | Age: 600 | Date: "+date(-600), "", private)
	if left := e.FreshFor(t0); left != time.Hour || e.Rules.NoCache || e.Rules.MustRevalidate {
		t.Errorf("an hour from receipt: %v left, rules %+v", left, e.Rules)
	}
}

// RFC 9111 §3.1: which fields are stored.
func TestStoredHeader(t *testing.T) {
	h := header(`Connection: a | A: 1 | Keep-Alive: x | Proxy-Authenticate: x | Cache-Control: no-cache="b", private="c" | B: 2 | C: 3 | D: 4 | Age: 5 | Date: ` + date(0))
	got := StoredHeader(h, t0, false, shared)
	want := header(`Cache-Control: no-cache="b", private="c" | D: 4 | Date: ` + date(0))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shared (-want +got)\n%s", diff)
	}
	want.Set("C", "3")
	if diff := cmp.Diff(want, StoredHeader(h, t0, false, private)); diff != "" {
		t.Errorf("private (-want +got)\n%s", diff)
	}
	if got := StoredHeader(http.Header{}, t0, false, private).Get("Date"); got != date(0) {
		t.Errorf("Date where the origin sent none: %q (RFC 9110 §6.6.1)", got)
	}
}

// RFC 9111 §4.2.3: age.
func TestCurrentAge(t *testing.T) {
	for _, test := range []struct {
		name                string
		fields              string
		requested, received int
		now                 int
		want                int
	}{
		{"on receipt", "Date: " + date(0), 0, 0, 0, 0},
		{"resident", "Date: " + date(0), 0, 0, 10, 10},
		{"upstream Age", "Date: " + date(0) + " | Age: 5", 0, 0, 10, 15},
		{"apparent age", "Date: " + date(-20), 0, 0, 10, 30},
		{"the larger of the two", "Date: " + date(-20) + " | Age: 30", 0, 0, 0, 30},
		{"response delay", "Date: " + date(0) + " | Age: 5", 0, 3, 3, 8},
		{"Date in the future", "Date: " + date(100), 0, 0, 10, 10},
		{"no Date", "", 0, 0, 10, 10},
		{"invalid Age", "Date: " + date(0) + " | Age: x", 0, 0, 10, 10},
		{"clock set back", "Date: " + date(0), 0, 0, -100, 0},
		{"huge", "Age: 99999999999999", 0, 0, 10, field.MaxDelta},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &stored.Entry{Received: at(test.received), InitialAge: InitialAge(header(test.fields), at(test.requested), at(test.received))}
			if got := e.Age(at(test.now)); got != time.Duration(test.want)*time.Second {
				t.Errorf("age %v, want %d s", got, test.want)
			}
		})
	}
}

// RFC 9111 §4, §4.2.4, §5.2.1, RFC 5861 §3, RFC 8246: what is done with a stored response. Its age is 5 when now is 5.
func TestReuse(t *testing.T) {
	const etag = ` | ETag: "a"`
	for _, test := range []struct {
		name              string
		response, request string
		now               int
		private, shared   action
	}{
		{"fresh", "Cache-Control: max-age=10" + etag, "", 5, Serve, Serve},
		{"lifetime reached", "Cache-Control: max-age=5" + etag, "", 5, Validate, Validate},
		{"stale, no validator", "Cache-Control: max-age=5", "", 6, Fetch, Fetch},
		{"s-maxage shorter", "Cache-Control: max-age=10, s-maxage=1" + etag, "", 5, Serve, Validate},
		{"s-maxage longer", "Cache-Control: max-age=1, s-maxage=10" + etag, "", 5, Validate, Serve},
		{"no-cache", "Cache-Control: max-age=10, no-cache" + etag, "", 5, Validate, Validate},
		{"no-cache with names", `Cache-Control: max-age=10, no-cache="a"` + etag, "", 5, Serve, Serve},
		{"Pragma in a response", "Expires: " + date(10) + " | Pragma: no-cache" + etag, "", 5, Validate, Validate},
		{"Pragma beside Cache-Control in a response", "Cache-Control: max-age=10 | Pragma: no-cache" + etag, "", 5, Serve, Serve},
		{"request no-cache", "Cache-Control: max-age=10" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"request Pragma", "Cache-Control: max-age=10" + etag, "Pragma: no-cache", 5, Validate, Validate},
		{"request Pragma beside Cache-Control", "Cache-Control: max-age=10" + etag, "Pragma: no-cache | Cache-Control: max-age=20", 5, Serve, Serve},
		{"request max-age, younger", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=5", 5, Serve, Serve},
		{"request max-age, older", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4", 5, Validate, Validate},
		{"request max-age=0", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=0", 0, Validate, Validate},
		{"request max-age never extends", "Cache-Control: max-age=1" + etag, "Cache-Control: max-age=100", 5, Validate, Validate},
		{"request max-age and max-stale", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4, max-stale=1", 5, Serve, Serve},
		{"immutable satisfies max-age=0", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: max-age=0", 5, Serve, Serve},
		{"immutable and stale", "Cache-Control: max-age=1, immutable" + etag, "", 5, Validate, Validate},
		{"immutable and request no-cache", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"min-fresh, enough", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=5", 5, Serve, Serve},
		{"min-fresh, too little", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=6", 5, Validate, Validate},
		{"max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale", 5, Serve, Serve},
		{"max-stale, within", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"max-stale, over", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"max-stale over must-revalidate", "Cache-Control: max-age=1, must-revalidate" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"max-stale over proxy-revalidate", "Cache-Control: max-age=1, proxy-revalidate" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over s-maxage", "Cache-Control: max-age=1, s-maxage=1" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over no-cache", "Cache-Control: no-cache" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"stale-while-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "", 5, ServeStale, ServeStale},
		{"stale-while-revalidate, over", "Cache-Control: max-age=1, stale-while-revalidate=3" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over must-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, must-revalidate" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over proxy-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, proxy-revalidate" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate over s-maxage", "Cache-Control: max-age=1, stale-while-revalidate=5, s-maxage=1" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate and no-cache", "Cache-Control: max-age=1, stale-while-revalidate=5, no-cache" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate and request max-age", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-age=10", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, less", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, enough", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"only-if-cached, fresh", "Cache-Control: max-age=10" + etag, "Cache-Control: only-if-cached", 5, Serve, Serve},
		{"only-if-cached, stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached", 5, Refuse, Refuse},
		{"only-if-cached, max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached, max-stale", 5, Serve, Serve},
		{"request no-store", "Cache-Control: max-age=10" + etag, "Cache-Control: no-store", 5, Fetch, Fetch},
		{"precondition", "Cache-Control: max-age=10" + etag, `If-Match: "a"`, 5, Fetch, Fetch},
		{"several ranges", "Cache-Control: max-age=10" + etag, `Range: bytes=0-1,3-4`, 5, Fetch, Fetch},
	} {
		t.Run(test.name, func(t *testing.T) {
			for p, want := range map[*Policy]action{private: test.private, shared: test.shared} {
				e, reason := entryOf(200, test.response, "", p)
				if reason != "" {
					t.Fatalf("not stored: %s", reason)
				}
				if got := Decide(asks(test.request), &Lookup{Entry: e}, at(test.now)); got.Action != want {
					t.Errorf("shared=%v: action %d (%s), want %d", p.Shared, got.Action, got.Detail, want)
				}
			}
		})
	}
}

func TestNothingStored(t *testing.T) {
	for _, test := range []struct {
		name, request string
		want          action
	}{
		{"plain", "", Fetch}, {"only-if-cached", "Cache-Control: only-if-cached", Refuse}, {"no-cache", "Cache-Control: no-cache", Fetch},
	} {
		if got := Decide(asks(test.request), &Lookup{Fwd: cachestatus.FwdURIMiss}, t0); got.Action != test.want {
			t.Errorf("%s: action %d, want %d", test.name, got.Action, test.want)
		}
	}
}

// RFC 5861 §4 and RFC 9111 §4.2.4: which stored responses may stand in for a failed exchange. The staleness is 4 when now is 5.
func TestStaleIfError(t *testing.T) {
	offline := &Policy{Disconnected: time.Minute}
	for _, test := range []struct {
		name              string
		p                 *Policy
		response, request string
		unreachable       bool
		want              bool
	}{
		{"nothing allows it", private, "max-age=1", "", true, false},
		{"response", private, "max-age=1, stale-if-error=4", "", false, true},
		{"response, over", private, "max-age=1, stale-if-error=3", "", false, false},
		{"request", private, "max-age=1", "Cache-Control: stale-if-error=4", false, true},
		{"request, over", private, "max-age=1", "Cache-Control: stale-if-error=3", false, false},
		{"must-revalidate", private, "max-age=1, stale-if-error=9, must-revalidate", "", false, false},
		{"no-cache", private, "max-age=1, stale-if-error=9, no-cache", "", false, false},
		{"proxy-revalidate, private", private, "max-age=1, stale-if-error=9, proxy-revalidate", "", false, true},
		{"proxy-revalidate, shared", shared, "max-age=1, stale-if-error=9, proxy-revalidate", "", false, false},
		{"s-maxage, shared", shared, "s-maxage=1, stale-if-error=9", "", false, false},
		{"request no-cache", private, "max-age=1, stale-if-error=9", "Cache-Control: no-cache", false, false},
		{"disconnected", offline, "max-age=1", "", true, true},
		{"disconnected, but it answered", offline, "max-age=1", "", false, false},
		{"disconnected, must-revalidate", offline, "max-age=1, must-revalidate", "", true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: "+test.response+` | ETag: "a"`, "", test.p)
			if why, got := OnError(asks(test.request), e, test.unreachable, test.p, at(5)); got != test.want {
				t.Errorf("%v (%s), want %v", got, why, test.want)
			}
		})
	}
}

// RFC 9111 §4.1: selecting among variants.
func TestVary(t *testing.T) {
	for _, test := range []struct {
		name             string
		vary             string
		stored, presents string
		want             bool
	}{
		{"same value", "A", "A: 1", "A: 1", true},
		{"other value", "A", "A: 1", "A: 2", false},
		{"absent both times", "A", "", "", true},
		{"absent is not empty", "A", "", "A:", false},
		{"absent then present", "A", "", "A: 1", false},
		{"present then absent", "A", "A: 1", "", false},
		{"two names, on two lines", "A | Vary: B", "A: 1 | B: 2", "A: 1 | B: 3", false},
		{"names in any case", "a", "A: 1", "A: 1", true},
		{"lines are one list", "A", "A: 1, 2", "A: 1 | A: 2", true},
		{"white space", "A", "A: 1,2", "A:  1 , 2 ", true},
		{"order counts in unknown fields", "A", "A: 1, 2", "A: 2, 1", false},
		{"case of languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: EN,DE", true},
		{"order of languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: de, en", false},
		{"order of languages that have a weight", "Accept-Language", "Accept-Language: en, de;q=0.5", "Accept-Language: de; q=0.50 ,en;q=1.0", true},
		{"order of languages with one weight", "Accept-Language", "Accept-Language: fr, en;q=0.5, de;q=0.5", "Accept-Language: fr, de;q=0.5, en;q=0.5", false},
		{"a language twice", "Accept-Language", "Accept-Language: en, de", "Accept-Language: en, de, en", true},
		{"weights that are none", "Accept-Language", "Accept-Language: en;q=2, de", "Accept-Language: de, en;q=2", false},
		{"weights that are none, once more", "Accept-Language", "Accept-Language: en;q=2, de", "Accept-Language: en;q=2,de", true},
		{"case of types", "Accept", "Accept: text/HTML;Level=1", "Accept: Text/html ; level=1", true},
		{"case of the value of a parameter", "Accept", "Accept: a/b;profile=Alpha", "Accept: a/b;profile=alpha", false},
		{"case of a quoted value", "Accept", `Accept: a/b;profile="A; b"`, `Accept: a/b;profile="a; b"`, false},
		{"white space in a quoted value", "Accept", `Accept: a/b;profile="A,  b"`, `Accept: a/b;profile="A, b"`, false},
		{"case beside a quoted value", "Accept", `Accept: A/b;profile="A", c/d`, `Accept: a/b; PROFILE="A",C/D`, true},
		{"case in another member", "Accept", "Accept: text/html, a/b;profile=Alpha;q=0.9", "Accept: text/html, a/b;profile=alpha;q=0.9", false},
		{"order of parameters", "Accept", "Accept: a/b;x=1;y=2", "Accept: a/b;y=2;x=1", false},
		{"what stands behind the weight", "Accept", "Accept: a/b;q=0.5;x=A", "Accept: a/b;q=0.5;x=a", false},
		{"the weight before or behind", "Accept", "Accept: a/b;q=0.5;x=1", "Accept: a/b;x=1;q=0.5", false},
		{"weights written otherwise", "Accept", "Accept: a/b;q=1, c/d;q=0.8", "Accept: a/b;Q=1.000,c/d;q=0.800", true},
		{"a weight of nothing", "Accept-Encoding", "Accept-Encoding: gzip, br;q=0", "Accept-Encoding: gzip", false},
		{"case of codings", "Accept-Encoding", "Accept-Encoding: GZIP", "Accept-Encoding: gzip", true},
		{"case of a parameter in another field", "Prefer", "Prefer: return=Minimal", "Prefer: return=minimal", false},
		{"other languages", "Accept-Language", "Accept-Language: en, de", "Accept-Language: en, fr", false},
		{"order of codings", "Accept-Encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br, gzip", false},
		{"qualities count", "Accept", "Accept: a/b;q=0.5", "Accept: a/b;q=0.6", false},
		{"other field", "A", "A: 1 | B: 1", "A: 1 | B: 2", true},
		{"credentials", "Cookie", "Cookie: a", "Cookie: a", true},
		{"two spellings of a name", "A", "A: 1", "A: 1 | a: 2", false},
		{"other credentials", "Cookie", "Cookie: a", "Cookie: b", false},
		{"a comma in a cookie", "Cookie", "Cookie: a=1,2", "Cookie: a=1, 2", false},
		{"two of them", "Cookie", "Cookie: a=1,2", "Cookie: a=1,,2", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: max-age=60 | Vary: "+test.vary, test.stored, private)
			presents := header(test.presents)
			if test.name == "two spellings of a name" {
				presents = http.Header{"A": {"1"}, "a": {"2"}}
			}
			if got := Selects(e, &http.Request{Header: presents}, &stored.HashKey{}); got != test.want {
				t.Errorf("selects = %v, want %v", got, test.want)
			}
		})
	}
}

// RFC 9110 §12.5.4: a response in the language that a request ranks first is what the server would choose.
func TestVaryOnLanguageByQuality(t *testing.T) {
	for _, test := range []struct {
		accept, content string
		want            bool
	}{
		{"fr;q=0.5, de;q=1.0", "de", true}, {"fr;q=0.5, de", "DE", true}, {"fr, de", "de", false}, {"fr, de;q=0.9", "de", false},
		{"de;q=0", "de", false}, {"de;q=2", "de", false}, {"de", "de, fr", false}, {"", "de", false},
	} {
		if got := prefersLanguage([]string{test.accept}, []string{test.content}); got != test.want {
			t.Errorf("%q for %q: %v, want %v", test.content, test.accept, got, test.want)
		}
	}
}

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
func TestFreshening(t *testing.T) {
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

// RFC 9110 §14: ranges of a whole response of 5 bytes.
func TestRangesOfAWhole(t *testing.T) {
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
	nothing := &stored.Entry{Status: 200, Header: http.Header{}}
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

// RFC 9111 §4.4: what an unsafe request makes invalid.
func TestInvalidation(t *testing.T) {
	for _, test := range []struct {
		method string
		status int
		want   bool
	}{
		{"POST", 200, true}, {"PUT", 201, true}, {"DELETE", 204, true}, {"PATCH", 303, true}, {"M-SEARCH", 200, true}, {"post", 200, true},
		{"POST", 400, false}, {"POST", 500, false}, {"POST", 100, false},
		{"GET", 200, false}, {"HEAD", 200, false}, {"OPTIONS", 200, false}, {"TRACE", 200, false}, {"QUERY", 200, false}, {"", 200, false},
	} {
		if got := Invalidates(test.method, test.status, private); got != test.want {
			t.Errorf("%s %d: %v, want %v", test.method, test.status, got, test.want)
		}
	}
}

// numbered is a list of n members with a number each.
func numbered(format string, n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(members, ", ")
}

// RFC 9111 §4: of several suitable responses the most recent one is used.
func TestTheMostRecentResponseIsUsed(t *testing.T) {
	old, _ := entryOf(200, "Cache-Control: max-age=600 | Vary: A | Date: "+date(-100), "A: 1", private)
	recent, _ := entryOf(200, "Cache-Control: max-age=600 | Vary: B | Date: "+date(-50), "B: 1", private)
	r := newRequest("GET", "A: 1 | B: 1")
	a := asks("")
	for _, entries := range [][]*stored.Entry{{old, recent}, {recent, old}} {
		if got := Select(&stored.Variants{Entries: entries}, a, r, &stored.HashKey{}); got != recent {
			t.Error("an older response is chosen")
		}
	}
}
