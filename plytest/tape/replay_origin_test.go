package tape

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/keying"
)

const pageURL = "https://a.example/page"

var tapeStart = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// at is an exchange of the page, at a number of seconds, answered after a second.
func at(seconds int, status int, body string, fields ...string) *Exchange {
	e := &Exchange{At: time.Duration(seconds) * time.Second, Request: Request{URL: pageURL, Header: http.Header{}}}
	e.Response = &Response{Status: status, Wait: time.Second, Length: int64(len(body)), Header: http.Header{"Date": {clock(seconds + 1)}}}
	if body != "" {
		e.Response.Chunks = []Chunk{{Data: []byte(body[:1])}, {At: time.Second, Data: []byte(body[1:])}}
	}
	set(e.Response.Header, fields)
	return e
}

// clock returns the date a number of seconds after the start of the tape.
func clock(seconds int) string {
	return tapeStart.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

func set(h http.Header, fields []string) {
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
}

// asked changes the request of an exchange.
func asked(e *Exchange, fields ...string) *Exchange {
	set(e.Request.Header, fields)
	return e
}

func failed(seconds int, kind FailureKind) *Exchange {
	return &Exchange{At: time.Duration(seconds) * time.Second, Request: Request{URL: pageURL}, Failure: &Failure{At: time.Second, Kind: kind, Text: string(kind)}}
}

func cut(seconds int, body string) *Exchange {
	e := at(seconds, 200, body)
	e.Failure = &Failure{At: time.Second, Kind: FailureReset, Text: "cut"}
	return e
}

func posted(seconds int, content, body string) *Exchange {
	e := at(seconds, 200, body)
	e.Request.Method, e.Request.Body = "POST", []byte(content)
	return e
}

func of(url string, e *Exchange) *Exchange {
	e.Request.URL = url
	return e
}

func wait(d time.Duration, e *Exchange) *Exchange {
	e.Response.Wait = d
	return e
}

// played gives f the origin of a tape, at its start.
func played(t *testing.T, tape *Tape, f func(*run)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &run{origin: newOrigin(tape, keying.Default())}
		if err := r.prepare(tape); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(r.origin.start))
		f(r)
	})
}

// show sends a request and writes down what comes, and how long it took to the header.
func show(o *origin, r *http.Request, fields ...string) string {
	began := time.Now()
	resp, err := o.RoundTrip(r)
	took := time.Since(began)
	if err != nil {
		return fmt.Sprintf("%v: %v", took, err)
	}
	body, err := io.ReadAll(resp.Body)
	text := fmt.Sprintf("%v: %d %q", took, resp.StatusCode, body)
	for _, name := range fields {
		text += fmt.Sprintf(" %s=%s", name, resp.Header.Get(name))
	}
	if err != nil {
		text += " " + err.Error()
	}
	return text
}

// What the origin answers to a request that comes at a time, without a call of the tape.
func TestOriginAnswersAtATime(t *testing.T) {
	type request struct {
		at     float64 // seconds
		method string
		url    string
		body   string
		fields []string
		show   []string
		want   string
	}
	for name, c := range map[string]struct {
		tape     []*Exchange
		requests []request
	}{
		"the last before, or else the first after": {
			[]*Exchange{at(10, 200, "one"), at(20, 200, "two"), at(30, 404, "no")},
			[]request{{at: 1, want: `1s: 200 "one"`}, {at: 10, want: `1s: 200 "one"`}, {at: 19, want: `1s: 200 "one"`}, {at: 20, want: `1s: 200 "two"`}, {at: 99, want: `1s: 404 "no"`}},
		},
		"what the tape does not know is an error": {
			[]*Exchange{at(1, 200, "one"), of("https://a.example/form", &Exchange{At: 1, Request: Request{Method: "POST", Body: []byte("a")}, Response: at(1, 200, "posted").Response})},
			[]request{
				{url: "https://a.example/other?token=x", want: "0s: tape: the tape has no answer to this request: GET https://a.example/other?token=REDACTED"},
				{method: "DELETE", want: "0s: tape: the tape has no answer to this request: DELETE https://a.example/page"},
				{method: "POST", url: "https://a.example/form", want: "0s: tape: the tape has no answer to this request: POST https://a.example/form"},
			},
		},
		"content is part of the request": {
			[]*Exchange{posted(1, "a", "for a"), posted(2, "b", "for b")},
			[]request{
				{at: 9, method: "POST", body: "a", want: `1s: 200 "for a"`},
				{at: 9, method: "POST", body: "b", want: `1s: 200 "for b"`},
				{at: 9, method: "POST", body: "c", want: "0s: tape: the tape has no answer to this request: POST https://a.example/page"},
			},
		},
		"principals are kept apart": {
			[]*Exchange{asked(at(1, 200, "alice's"), "Authorization", "Bearer a"), asked(at(2, 200, "bob's"), "Authorization", "Bearer b")},
			[]request{
				{at: 5, fields: []string{"Authorization", "Bearer a"}, want: `1s: 200 "alice's"`},
				{at: 5, fields: []string{"Authorization", "Bearer b"}, want: `1s: 200 "bob's"`},
				{at: 5, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
				{at: 5, fields: []string{"Authorization", "Bearer c"}, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"a varying response answers requests with the same fields": {
			[]*Exchange{asked(at(1, 200, "deutsch", "Vary", "Accept-Language"), "Accept-Language", "de"), asked(at(2, 200, "français", "Vary", "Accept-Language"), "Accept-Language", "fr")},
			[]request{
				{at: 9, fields: []string{"Accept-Language", "de"}, want: `1s: 200 "deutsch"`},
				{at: 9, fields: []string{"Accept-Language", "en"}, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"the names in Vary have no case, and lists may be written in several ways": {
			[]*Exchange{asked(at(1, 200, "both", "Vary", "accept-language"), "Accept-Language", "de, fr")},
			[]request{
				{at: 9, fields: []string{"Accept-Language", "de,fr"}, want: `1s: 200 "both"`},
				{at: 9, fields: []string{"Accept-Language", "de"}, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"content without a coding is for all": {
			[]*Exchange{asked(at(1, 200, "plain", "Vary", "Accept-Encoding"), "Accept-Encoding", "gzip"), at(5, 200, "identity", "Vary", "Accept-Encoding", "Content-Encoding", "Identity")},
			[]request{{at: 2, fields: []string{"Accept-Encoding", "br"}, want: `1s: 200 "plain"`}, {at: 9, fields: []string{"Accept-Encoding", "br"}, want: `1s: 200 "identity"`}},
		},
		"more codings may be accepted than were": {
			[]*Exchange{asked(at(1, 200, "zipped", "Vary", "Accept-Encoding", "Content-Encoding", "gzip"), "Accept-Encoding", "gzip")},
			[]request{
				{at: 9, fields: []string{"Accept-Encoding", "br, gzip;q=0.5"}, want: `1s: 200 "zipped"`},
				{at: 9, fields: []string{"Accept-Encoding", "br, gzip; q=0"}, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"a validator that matches is answered with 304 (RFC 9110 §13.1.2, §13.1.3)": {
			[]*Exchange{at(1, 200, "one", "Etag", `"1"`, "Last-Modified", clock(-9), "Content-Type", "text/plain"), at(9, 200, "two", "Etag", `"2"`, "Last-Modified", clock(8))},
			[]request{
				{at: 5, fields: []string{"If-None-Match", `"1"`}, show: []string{"Etag", "Content-Type"}, want: `1s: 304 "" Etag="1" Content-Type=`},
				{at: 5, fields: []string{"If-None-Match", `"0", W/"1"`}, want: `1s: 304 ""`},
				{at: 5, fields: []string{"If-None-Match", `"0"`, "If-Modified-Since", clock(0)}, want: `1s: 200 "one"`},
				{at: 5, fields: []string{"If-Modified-Since", clock(-9)}, want: `1s: 304 ""`},
				{at: 5, fields: []string{"If-Modified-Since", clock(-10)}, want: `1s: 200 "one"`},
				{at: 9, fields: []string{"If-None-Match", `"1"`}, want: `1s: 200 "two"`},
				{at: 9, fields: []string{"If-Match", `"1"`}, want: `1s: 412 ""`},
				{at: 9, fields: []string{"If-Match", `"2"`}, want: `1s: 200 "two"`},
				{at: 9, fields: []string{"If-Unmodified-Since", clock(7)}, want: `1s: 412 ""`},
				{at: 9, method: "HEAD", show: []string{"Etag"}, want: `1s: 200 "" Etag="2"`},
			},
		},
		"a recorded 304 stands for what it confirms": {
			[]*Exchange{at(1, 200, "one", "Etag", `"1"`), asked(at(50, 304, "", "Etag", `"1"`, "Cache-Control", "max-age=7"), "If-None-Match", `"1"`)},
			[]request{
				{at: 60, show: []string{"Cache-Control", "Date"}, want: `1s: 200 "one" Cache-Control=max-age=7 Date=` + clock(61)},
				{at: 60, fields: []string{"If-None-Match", `"1"`}, want: `1s: 304 ""`},
			},
		},
		"and so does one without an entity tag, by its date, of the same variant": {
			[]*Exchange{
				asked(at(1, 200, "un", "Last-Modified", clock(-9), "Vary", "Accept-Language"), "Accept-Language", "fr"),
				asked(at(2, 200, "old", "Last-Modified", clock(-99), "Vary", "Accept-Language"), "Accept-Language", "en"),
				asked(at(3, 200, "one", "Last-Modified", clock(-9), "Vary", "Accept-Language"), "Accept-Language", "en"),
				asked(at(4, 404, "gone", "Last-Modified", clock(-9), "Vary", "Accept-Language"), "Accept-Language", "en"),
				asked(at(50, 304, "", "Last-Modified", clock(-9)), "If-Modified-Since", clock(-9), "Accept-Language", "en"),
			},
			[]request{{at: 60, fields: []string{"Accept-Language", "en"}, want: `1s: 200 "one"`}},
		},
		"a cut body is no representation": {
			[]*Exchange{at(1, 200, "one"), cut(5, "tw"), cut(7, "thr")},
			[]request{{at: 6, want: `1s: 200 "tw" cut`}, {at: 8, want: `1s: 200 "one"`}},
		},
		"a 304 for content that the tape does not have answers only what asks for it": {
			[]*Exchange{asked(at(1, 304, "", "Etag", `"1"`), "If-None-Match", `"1"`)},
			[]request{
				{at: 2, fields: []string{"If-None-Match", `"1"`}, want: `1s: 304 ""`},
				{at: 2, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"dates move, and Expires with them, but not Last-Modified": {
			[]*Exchange{at(1, 200, "one", "Expires", clock(60), "Last-Modified", clock(-9), "Age", "5")},
			[]request{{at: 101, show: []string{"Date", "Expires", "Last-Modified", "Age"}, want: `1s: 200 "one" Date=` + clock(102) + " Expires=" + clock(160) + " Last-Modified=" + clock(-9) + " Age=5"}},
		},
		"an Expires that several responses have is a fixed time": {
			[]*Exchange{at(1, 200, "one", "Expires", clock(600)), at(5, 200, "one", "Expires", clock(600))},
			[]request{{at: 9, show: []string{"Date", "Expires"}, want: `1s: 200 "one" Date=` + clock(10) + " Expires=" + clock(600)}},
		},
		"a failure is there at its time only": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureReset), at(9, 200, "two")},
			[]request{{at: 4.9, want: `1s: 200 "one"`}, {at: 5, want: "1s: reset"}, {at: 5.1, want: `1s: 200 "one"`}, {at: 9, want: `1s: 200 "two"`}},
		},
		"and from one failure to the next": {
			[]*Exchange{at(1, 200, "one"), at(5, 503, "no", "Retry-After", "3"), failed(7, FailureReset), at(9, 200, "two")},
			[]request{{at: 6, show: []string{"Retry-After"}, want: `1s: 503 "no" Retry-After=3`}, {at: 7, want: "1s: reset"}, {at: 8, want: `1s: 200 "one"`}},
		},
		"every status of 500 and above, 408 and 429 are failures, and 404 is none": {
			[]*Exchange{at(1, 200, "one"), at(5, 500, "a"), at(7, 408, "b"), at(9, 429, "c"), at(11, 404, "d"), at(13, 500, "e")},
			[]request{{at: 6, want: `1s: 500 "a"`}, {at: 8, want: `1s: 408 "b"`}, {at: 10, want: `1s: 200 "one"`}, {at: 12, want: `1s: 404 "d"`}, {at: 14, want: `1s: 404 "d"`}},
		},
		"an outage concerns the whole host, but no content leaves its resource": {
			[]*Exchange{at(1, 200, "one"), of("https://a.example/x", at(5, 503, "for x only", "Retry-After", "3", "Set-Cookie", "a=b")), of("https://a.example/y", failed(7, FailureRefused)), of("https://a.example/x", at(9, 200, "x"))},
			[]request{{at: 6, show: []string{"Retry-After", "Set-Cookie"}, want: `1s: 503 "" Retry-After=3 Set-Cookie=`}, {at: 8, want: `1s: 200 "one"`}},
		},
		"what never worked does not begin to": {
			[]*Exchange{at(5, 500, "bug")},
			[]request{{at: 1, want: `1s: 500 "bug"`}, {at: 9, want: `1s: 500 "bug"`}},
		},
		"what the caller canceled says nothing of the origin": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureCanceled), failed(6, FailureCanceled)},
			[]request{{at: 5.5, want: `1s: 200 "one"`}},
		},
		"one range is served if the origin does ranges (RFC 9110 §14)": {
			[]*Exchange{at(1, 200, "0123456789", "Accept-Ranges", "bytes", "Etag", `"1"`)},
			[]request{
				{at: 5, fields: []string{"Range", "bytes=2-4"}, show: []string{"Content-Range", "Content-Length"}, want: `1s: 206 "234" Content-Range=bytes 2-4/10 Content-Length=3`},
				{at: 5, fields: []string{"Range", "bytes=7-"}, show: []string{"Content-Range"}, want: `1s: 206 "789" Content-Range=bytes 7-9/10`},
				{at: 5, fields: []string{"Range", "bytes=-2"}, want: `1s: 206 "89"`},
				{at: 5, fields: []string{"Range", "bytes=10-"}, show: []string{"Content-Range"}, want: `1s: 416 "" Content-Range=bytes */10`},
				{at: 5, fields: []string{"Range", "bytes=5-99"}, show: []string{"Content-Range"}, want: `1s: 206 "56789" Content-Range=bytes 5-9/10`},
				{at: 5, fields: []string{"Range", "Bytes=0-0"}, want: `1s: 206 "0"`},
				{at: 5, fields: []string{"Range", "bytes=9-9"}, want: `1s: 206 "9"`},
				{at: 5, fields: []string{"Range", "bytes=-99"}, want: `1s: 206 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=-0"}, want: `1s: 416 ""`},
				{at: 5, fields: []string{"Range", "bytes=4-2"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=x-2"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=2-x"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=-x"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=2"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "lines=2-4"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=2-4", "If-None-Match", `"1"`}, want: `1s: 304 ""`},
				{at: 5, fields: []string{"Range", "bytes=1-2,4-5"}, want: `1s: 200 "0123456789"`},
				{at: 5, fields: []string{"Range", "bytes=1-", "If-Range", `"1"`}, want: `1s: 206 "123456789"`},
				{at: 5, fields: []string{"Range", "bytes=1-", "If-Range", `"0"`}, want: `1s: 200 "0123456789"`},
			},
		},
		"a date of If-Range counts if it is older than the response": {
			[]*Exchange{at(1, 200, "0123456789", "Accept-Ranges", "bytes", "Last-Modified", clock(-9))},
			[]request{
				{at: 5, fields: []string{"Range", "bytes=1-", "If-Range", clock(-9)}, want: `1s: 206 "123456789"`},
				{at: 5, fields: []string{"Range", "bytes=1-", "If-Range", clock(-8)}, want: `1s: 200 "0123456789"`},
			},
		},
		"and not if the content may have changed again in its second": {
			[]*Exchange{at(1, 200, "0123456789", "Accept-Ranges", "bytes", "Last-Modified", clock(2)), at(9, 200, "0123456789", "Accept-Ranges", "bytes", "Last-Modified", clock(2), "Date", "")},
			[]request{
				{at: 1, fields: []string{"Range", "bytes=1-", "If-Range", clock(2)}, want: `1s: 200 "0123456789"`},
				{at: 2, fields: []string{"Range", "bytes=1-", "If-Range", clock(2)}, want: `1s: 206 "123456789"`},
				{at: 9, fields: []string{"Range", "bytes=1-", "If-Range", clock(2)}, want: `1s: 200 "0123456789"`},
			},
		},
		"and ignored if it does not": {
			[]*Exchange{at(1, 200, "0123456789")},
			[]request{{at: 5, fields: []string{"Range", "bytes=2-4"}, want: `1s: 200 "0123456789"`}},
		},
		"a recorded part answers the same range": {
			[]*Exchange{asked(at(1, 206, "234"), "Range", "bytes=2-4")},
			[]request{
				{at: 5, fields: []string{"Range", "bytes=2-4"}, want: `1s: 206 "234"`},
				{at: 5, fields: []string{"Range", "bytes=2-5"}, want: "0s: tape: the tape has no answer to this request: GET https://a.example/page"},
			},
		},
		"without a call the wait is that of the exchange nearest in time": {
			[]*Exchange{wait(3*time.Second, at(1, 200, "one")), wait(2*time.Second, at(10, 200, "two"))},
			[]request{{at: 1, want: `3s: 200 "one"`}, {at: 5.5, want: `3s: 200 "one"`}, {at: 5.6, want: `2s: 200 "one"`}, {at: 8, want: `2s: 200 "one"`}, {at: 20, want: `2s: 200 "two"`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, q := range c.requests {
				played(t, &Tape{Start: tapeStart, Exchanges: c.tape}, func(r *run) {
					time.Sleep(time.Duration(q.at * float64(time.Second)))
					req, err := http.NewRequest(cmp.Or(q.method, "GET"), cmp.Or(q.url, pageURL), strings.NewReader(q.body))
					if err != nil {
						t.Fatal(err)
					}
					set(req.Header, q.fields)
					if d := gocmp.Diff(q.want, show(r.origin, req, q.show...)); d != "" {
						t.Errorf("%+v: %s", q, d)
					}
				})
			}
		})
	}
}

// What a call's own exchange decides: its first request at its time gets it, and the others get what another caller would.
func TestOriginAnswersACall(t *testing.T) {
	slow := wait(9*time.Second, at(5, 200, "slow"))
	for name, c := range map[string]struct {
		tape  []*Exchange
		call  int       // the exchange whose call it is
		at    []float64 // when it sends its requests
		want  []string
		added []string // fields that a layer adds to them
	}{
		"the first gets its own answer although another one comes at the same time": {
			[]*Exchange{at(5, 200, "one"), at(5, 200, "two")}, 0, []float64{5}, []string{`1s: 200 "one"`}, nil,
		},
		"a condition that a layer adds is evaluated, and the wait is the recorded one": {
			[]*Exchange{at(1, 200, "old"), wait(9*time.Second, at(5, 200, "slow", "Etag", `"1"`))}, 1, []float64{5}, []string{`9s: 304 ""`}, []string{"If-None-Match", `"1"`},
		},
		"a failure fails it whatever a layer adds": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureReset)}, 1, []float64{5}, []string{"1s: reset"}, []string{"If-None-Match", `"1"`},
		},
		"and so does the caller": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureDeadline)}, 1, []float64{5}, []string{"1s: deadline"}, []string{"If-None-Match", `"1"`},
		},
		"a recorded 304 is not for a layer's own condition": {
			[]*Exchange{at(1, 200, "one", "Etag", `"1"`), asked(at(5, 304, "", "Etag", `"1"`), "If-None-Match", `"1"`)}, 1, []float64{5}, []string{`1s: 200 "one"`}, []string{"If-None-Match", `"0"`},
		},
		"nor one for content that the tape does not have": {
			[]*Exchange{asked(at(5, 304, "", "Etag", `"1"`), "If-None-Match", `"1"`)}, 0, []float64{5},
			[]string{"0s: tape: the tape has no answer to this request: GET https://a.example/page"}, []string{"If-None-Match", `"0"`},
		},
		"another variant than the recorded one is not its own answer": {
			[]*Exchange{at(5, 200, "none", "Vary", "Accept-Language")}, 0, []float64{5},
			[]string{"0s: tape: the tape has no answer to this request: GET https://a.example/page"}, []string{"Accept-Language", "de"},
		},
		"a late request whose own answer would have been trouble waits as the nearest other": {
			[]*Exchange{wait(2*time.Second, at(1, 200, "one")), wait(7*time.Second, at(5, 500, "bug"))}, 1, []float64{6}, []string{`2s: 200 "one"`}, nil,
		},
		"trouble and other methods say nothing of waits": {
			[]*Exchange{of("https://a.example/x", wait(3*time.Second, at(4, 500, "x"))), posted(5, "", "posted"), wait(2*time.Second, of("https://a.example/y", at(1, 200, "y"))), slow}, 3, []float64{5, 15.5},
			[]string{`9s: 200 "slow"`, `2s: 200 "slow"`}, nil,
		},
		"a retry after a failure succeeds": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureReset)}, 1, []float64{5, 6.5}, []string{"1s: reset", `1s: 200 "one"`}, nil,
		},
		"a second request does not wait as long as the slow first": {
			[]*Exchange{at(1, 200, "fast"), slow}, 1, []float64{5, 15.5}, []string{`9s: 200 "slow"`, `1s: 200 "slow"`}, nil,
		},
		"nor if only other resources of the host were fast": {
			[]*Exchange{of("https://a.example/x", wait(2*time.Second, at(1, 200, "x"))), slow}, 1, []float64{5, 15.5}, []string{`9s: 200 "slow"`, `2s: 200 "slow"`}, nil,
		},
		"a first request that comes late waits as recorded, for what the origin has by then": {
			[]*Exchange{slow, at(6, 200, "new")}, 0, []float64{7}, []string{`9s: 200 "new"`}, nil,
		},
		"a call that the caller canceled gets nothing": {
			[]*Exchange{at(1, 200, "one"), failed(5, FailureCanceled)}, 1, []float64{5, 6.5}, []string{"1s: canceled", `1s: 200 "one"`}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			played(t, &Tape{Start: tapeStart, Exchanges: c.tape}, func(r *run) {
				var got []string
				call := r.calls[c.call]
				req, err := r.request(contextWith(call), r.exchange[c.call])
				if err != nil {
					t.Fatal(err)
				}
				set(req.Header, c.added)
				for _, at := range c.at {
					time.Sleep(time.Duration(at*float64(time.Second)) - r.origin.now())
					got = append(got, show(r.origin, req))
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
			})
		})
	}
}

func contextWith(c *call) context.Context {
	return context.WithValue(context.Background(), callKey{}, c)
}
