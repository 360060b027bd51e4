package rfc9111

import (
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
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
func TestStoringWhereExpiryOverrulesTheServer(t *testing.T) {
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
