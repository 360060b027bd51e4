package rfc9111

import (
	"context"
	"github.com/google/go-cmp/cmp"
	"github.com/plyhttp/ply/internal/reqctx"
	"net/http"
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
		{"206 without a request for a range", "GET", 206, "Cache-Control: max-age=60 | Content-Range: bytes 0-4/10", "", "partial content of another kind than one range of bytes", "partial content of another kind than one range of bytes"},
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
		{"explicit freshness, on any status", hour, 299, "Cache-Control: max-age=10", "", ""},
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

// RFC 9111 §3.3: which 206 responses are stored: one range of bytes, with all its bytes, in answer to a request for a range.
func TestStoringParts(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Candidate)
		want   bool
	}{
		{"a range", func(*Candidate) {}, true},
		{"no range was asked for", func(c *Candidate) { c.Request.Header = nil }, false},
		{"no range was asked for, but it is a confirmed part", func(c *Candidate) { c.Request.Header, c.Confirmed = nil, true }, true},
		{"no Content-Range", func(c *Candidate) { c.Response.Header.Del("Content-Range") }, false},
		{"a length that is not that of the range", func(c *Candidate) { c.Response.ContentLength = 6 }, false},
		{"no length", func(c *Candidate) { c.Response.ContentLength = -1 }, false},
		{"chunked", func(c *Candidate) { c.Response.TransferEncoding = []string{"chunked"} }, false},
		{"decompressed", func(c *Candidate) { c.Response.Uncompressed = true }, false},
		{"several parts", func(c *Candidate) { c.Response.Header.Set("Content-Type", "multipart/byteranges; boundary=a") }, false},
	} {
		c := &Candidate{
			Request:  newRequest("GET", "Range: bytes=0-4"),
			Response: &http.Response{StatusCode: 206, ContentLength: 5, Header: header("Content-Range: bytes 0-4/10")},
		}
		test.change(c)
		if got := storablePart(c); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// RFC 9111 §3, §3.5, §7.3: what the user's options refuse, and what a shared cache needs permission for.
func TestStoringUnderOptions(t *testing.T) {
	const maxAge = "Cache-Control: max-age=60"
	unshared := "credentials, and the response is not marked as shareable"
	for _, test := range []struct {
		name              string
		p                 *Policy
		method            string
		status            int
		response, request string
		want              string
	}{
		{"a status that is not listed", &Policy{Statuses: []int{404}}, "GET", 200, maxAge, "", "status not allowed"},
		{"a status that is listed", &Policy{Statuses: []int{404}}, "GET", 404, maxAge, "", ""},
		{"status 199", private, "GET", 199, maxAge, "", "status not final"},
		{"status 200", private, "GET", 200, maxAge, "", ""},
		{"status 599", private, "GET", 599, maxAge, "", ""},
		{"status 600", private, "GET", 600, maxAge, "", "status not final"},
		{"must-understand, 307", private, "GET", 307, "Cache-Control: max-age=60, no-store, must-understand", "", ""},
		{"must-understand, 299", private, "GET", 299, "Cache-Control: max-age=60, no-store, must-understand", "", "must-understand, status not understood"},
		{"API key", shared, "GET", 200, maxAge, "X-Api-Key: a", unshared},
		{"API key, public", shared, "GET", 200, maxAge + ", public", "X-Api-Key: a", ""},
		{"API key, s-maxage", shared, "GET", 200, "Cache-Control: s-maxage=60", "X-Api-Key: a", ""},
		{"API key, s-maxage of zero", shared, "GET", 200, "Cache-Control: max-age=60, s-maxage=0", "X-Api-Key: a", unshared},
		{"API key, must-revalidate", shared, "GET", 200, maxAge + ", must-revalidate", "X-Api-Key: a", unshared},
		{"API key, private cache", private, "GET", 200, maxAge, "X-Api-Key: a", ""},
		{"strict cookies", &Policy{Shared: true, StrictCookie: true}, "GET", 200, maxAge + " | Set-Cookie: a=b", "", "set-cookie"},
		{"strict cookies, no cookie", &Policy{Shared: true, StrictCookie: true}, "GET", 200, maxAge, "", ""},
		{"connection names Cache-Control", private, "GET", 200, maxAge + " | Connection: Cache-Control", "", "connection names a field that governs caches"},
		{"connection names Expires", private, "GET", 200, maxAge + " | Connection: expires", "", "connection names a field that governs caches"},
		{"connection names a targeted field", &Policy{Targeted: []string{"CDN-Cache-Control"}}, "GET", 200, maxAge + " | Connection: cdn-cache-control", "", "connection names a field that governs caches"},
		{"connection names something else", private, "GET", 200, maxAge + " | Connection: keep-alive", "", ""},
		{"POST that locates itself, created", private, "POST", 201, maxAge + " | Content-Location: /a", "", "method"},
		{"PUT that locates itself", private, "PUT", 200, maxAge + " | Content-Location: /a", "", "method"},
		{"POST in the user's methods", &Policy{Methods: []string{"POST"}}, "POST", 200, maxAge, "", ""},
		{"no freshness and no validator, but for use without an origin", &Policy{Disconnected: time.Hour}, "GET", 200, "", "", ""},
		{"Last-Modified alone", private, "GET", 200, "Last-Modified: " + date(0), "", ""},
		{"private, status not cacheable by default", private, "GET", 503, "Cache-Control: private | ETag: \"a\"", "", ""},
	} {
		if _, got := storedBy(expiry.Default(), test.method, test.status, test.response, test.request, test.p); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestStoringHeaderSizeAndMediaType(t *testing.T) {
	line := func(n int) http.Header { return http.Header{"A": {strings.Repeat("x", n-len("A: \r\n"))}} }
	if UnstorableSize(line(64<<10)) != "" || UnstorableSize(line(64<<10+1)) == "" {
		t.Error("a header has at most 64 KiB, with separators")
	}
	for contentType, want := range map[string]bool{"text/event-stream": true, "TEXT/Event-Stream; a=b": true, "text/event": false, "text/plain": false, "application/octet-stream": false, "": false, "a/b, text/event-stream": true} {
		if got := hasType(http.Header{"Content-Type": {contentType}}, "text/event-stream"); got != want {
			t.Errorf("%q: %v, want %v", contentType, got, want)
		}
	}
	var known []int
	for status := range 700 {
		if understood(status) {
			known = append(known, status)
		}
	}
	want := []int{200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 511}
	if diff := cmp.Diff(want, known); diff != "" {
		t.Errorf("understood statuses (-want +got)\n%s", diff)
	}
}

// A 401 is the answer to a credential that the layer which has added it can renew: it is not the resource's.
func TestStoring401ToARenewableCredential(t *testing.T) {
	added := reqctx.WithCredential(context.Background(), "Authorization", "Bearer a", "p")
	for _, test := range []struct {
		name   string
		ctx    context.Context
		status int
		want   string
	}{
		{"401", added, 401, "401 answers a credential that can be renewed"},
		{"401 without such a credential", context.Background(), 401, ""},
		{"another status", added, 403, ""},
	} {
		resp := &http.Response{StatusCode: test.status, Header: header("Cache-Control: max-age=60")}
		x := expiry.Exchange{Request: newRequest("GET", "").WithContext(test.ctx), Response: resp, Now: t0}
		c := Judge(x, expiry.Default(), 0, 0)
		if got, _ := Storable(&c, private); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// RFC 9111 §4.3.5: the answer to a HEAD is not stored itself, but it may confirm a stored response.
func TestStoringAfterAConfirmationByHead(t *testing.T) {
	for confirmed, want := range map[bool]string{false: "method", true: ""} {
		c := &Candidate{Request: newRequest("HEAD", ""), Response: &http.Response{}, Confirmed: confirmed}
		if got := unstorableMethod(c, private); got != want {
			t.Errorf("confirmed %v: %q, want %q", confirmed, got, want)
		}
	}
}
