package rfc9111

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/plyhttp/ply/expiry"
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
		Status: status, Header: StoredHeader(&judged, t0, p), Body: stored.Content{Bytes: []byte("hello")},
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

// numbered is a list of n members with a number each.
func numbered(format string, n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(members, ", ")
}

func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-') })
}
