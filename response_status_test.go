package ply_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply"
)

func TestStatusIsAnErrorFrom400On(t *testing.T) {
	for _, status := range []int{200, 204, 301, 304, 399} {
		body, resp, err := served{status: status, body: literalSegment(annJSON)}.get(t.Context())
		got, err := ply.ErrorForStatus(resp, err)
		if err != nil || got != resp || body.closed != 0 || body.read != 0 {
			t.Errorf("%d: response %v, error %v, %d bytes read, closed %d times", status, got, err, body.read, body.closed)
		}
	}
	for _, status := range []int{400, 404, 499, 500, 599, 999} {
		body, resp, err := served{status: status, body: literalSegment(annJSON)}.get(t.Context())
		got, err := ply.ErrorForStatus(resp, err)
		if !ply.StatusIs(err, status) || got != nil || body.closed != 1 {
			t.Errorf("%d: response %v, error %v, closed %d times", status, got, err, body.closed)
		}
	}
}

func TestUpgradedConnectionIsLeftAlone(t *testing.T) {
	conn := &struct {
		io.ReadCloser
		io.Writer
	}{io.NopCloser(strings.NewReader("")), io.Discard}
	resp := &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: conn}
	if got, err := ply.ErrorForStatus(resp, nil); err != nil || got.Body != io.ReadCloser(conn) {
		t.Errorf("response %v, error %v", got, err)
	}
}

func TestStatusErrorHidesSecrets(t *testing.T) {
	header := http.Header{"X-Request-Id": {"hush3"}}
	_, resp, err := served{status: 404, header: header, body: literalSegment(annJSON)}.get(t.Context())
	resp.Status = "404 hush4"
	_, err = ply.ErrorForStatus(resp, err)
	var got *ply.StatusError
	if !errors.As(fmt.Errorf("sync: %w", err), &got) {
		t.Fatalf("error %v", err)
	}
	want := &ply.StatusError{Method: "GET", StatusCode: 404, Status: "404 hush4", Header: header, Excerpt: []byte(annJSON)}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ply.StatusError{}, "URL"), cmpopts.IgnoreUnexported(ply.StatusError{})); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if text := err.Error() + got.URL; strings.Contains(text, "hush") || strings.Contains(text, "Ann") {
		t.Errorf("a secret is told: %s", text)
	}
	if text, want := err.Error(), "GET "+got.URL+": 404 Not Found"; text != want || !strings.Contains(got.URL, "api.example.com/users/7?token=REDACTED") {
		t.Errorf("text %q, want %q", text, want)
	}
	resp.Header.Set("X-Request-Id", "changed")
	if got.Header.Get("X-Request-Id") != "hush3" {
		t.Error("the header is shared with the response")
	}
}

func TestStatusErrorOfABareResponse(t *testing.T) {
	for want, resp := range map[string]*http.Response{
		"503 Service Unavailable": {StatusCode: 503},
		"599":                     {StatusCode: 599, Body: http.NoBody},
		"GET : 404 Not Found":     {StatusCode: 404, Request: &http.Request{}},
	} {
		if _, err := ply.ErrorForStatus(resp, nil); err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestExcerptIsBounded(t *testing.T) {
	page := strings.Repeat("0123456789abcdef", 1<<10)
	tests := []struct {
		name   string
		answer served
		want   string
		atMost int64
	}{
		{name: "none", answer: served{}, want: ""},
		{name: "short", answer: served{body: literalSegment("sorry", iotest.OneByteReader), length: 5}, want: "sorry", atMost: 5},
		{name: "page", answer: served{body: literalSegment(page)}, want: page[:4<<10], atMost: 16 << 10},
		{name: "cut", answer: served{body: literalSegment("so", failing(io.ErrUnexpectedEOF)), length: 5}, want: "so", atMost: 2},
		{name: "never ending", answer: served{body: func() io.Reader { return endless{} }}, want: strings.Repeat("x", 4<<10), atMost: 65 << 10},
		{name: "never ending, as announced", answer: served{body: func() io.Reader { return endless{} }, length: 1 << 40}, want: strings.Repeat("x", 4<<10), atMost: 4 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.answer.status = http.StatusBadGateway
			body, resp, err := tt.answer.get(t.Context())
			_, err = ply.ErrorForStatus(resp, err)
			var got *ply.StatusError
			if !errors.As(err, &got) || string(got.Excerpt) != tt.want {
				t.Errorf("error %v, excerpt (-want +got):\n%s", err, cmp.Diff(tt.want, string(got.Excerpt)))
			}
			if body.closed != 1 || body.read > tt.atMost {
				t.Errorf("closed %d times after %d bytes, want %d at most", body.closed, body.read, tt.atMost)
			}
		})
	}
}

// All functions that read a response share one rule about its status.
func TestEveryReaderReturnsStatusErrors(t *testing.T) {
	for _, status := range []int{400, 404, 500, 503, 599} {
		for _, r := range append(readers, discard) {
			body, resp, err := served{status: status, body: literalSegment(annJSON)}.get(t.Context())
			got, err := r.read(resp, err)
			want := ""
			if r.name == "Text" || r.name == "Bytes" {
				want = annJSON // beside the error
			}
			if got != want || !ply.StatusIs(err, status) || body.closed != 1 {
				t.Errorf("%s of a %d: %q, %v; body closed %d times", r.name, status, got, err, body.closed)
			}
		}
	}
}

func TestAnyStatusReadsEveryStatus(t *testing.T) {
	for _, r := range append(readers, discard) {
		body, resp, err := served{status: 503, body: literalSegment(annJSON)}.get(t.Context())
		got, err := r.read(ply.AnyStatus(resp, err))
		switch r.name {
		case "Save":
			if got != "" || !ply.StatusIs(err, 503) {
				t.Errorf("Save: %q, %v; a failure never becomes a file", got, err)
			}
		case "Discard":
			if err != nil {
				t.Errorf("Discard: %v", err)
			}
		default:
			if got != annJSON || err != nil {
				t.Errorf("%s: %q, %v", r.name, got, err)
			}
		}
		if body.closed != 1 {
			t.Errorf("%s: body closed %d times", r.name, body.closed)
		}
	}
	if _, err := ply.AnyStatus(nil, io.EOF); err != io.EOF {
		t.Errorf("error %v", err)
	}
	conn := &struct {
		io.ReadCloser
		io.Writer
	}{io.NopCloser(strings.NewReader("")), io.Discard}
	if got, err := ply.AnyStatus(&http.Response{StatusCode: http.StatusSwitchingProtocols, Body: conn}, nil); err != nil || got.Body != io.ReadCloser(conn) {
		t.Errorf("an upgraded connection became %T, %v", got.Body, err)
	}
}

func TestStatusErrorDecodesItsBody(t *testing.T) {
	broken := errors.New("broken")
	long := `{"name":"` + strings.Repeat("x", 20<<10) + `"}`
	tests := []struct {
		name   string
		answer served
		want   user
		err    error
	}{
		{"whole", served{body: literalSegment(annJSON)}, ann, nil},
		{"longer than the excerpt", served{body: literalSegment(long)}, user{Name: strings.Repeat("x", 20<<10)}, nil},
		{"in a charset", served{body: literalSegment("{\"name\":\"Gr\xfc\xdfe\"}"), media: "application/problem+json; charset=iso-8859-1"}, user{Name: "Grüße"}, nil},
		{"empty", served{}, user{}, ply.ErrEmptyBody},
		{"cut", served{body: literalSegment(annJSON[:9], failing(broken))}, user{}, broken},
		{"shorter than announced", served{body: literalSegment(annJSON), length: 22}, user{}, io.ErrUnexpectedEOF},
		{"never ending", served{body: func() io.Reader { return endless{} }}, user{}, &ply.BodyLimitError{}},
		{"never ending, as announced", served{body: func() io.Reader { return endless{} }, length: 1 << 40}, user{}, &ply.BodyLimitError{}},
		{"no JSON", served{body: literalSegment("<p>")}, user{}, &ply.DecodeError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.answer.status = http.StatusUnprocessableEntity
			_, resp, err := tt.answer.get(t.Context())
			_, err = ply.JSON[user](resp, err)
			var failed *ply.StatusError
			if !errors.As(err, &failed) {
				t.Fatal(err)
			}
			for range 2 {
				var got user
				err := failed.JSON(&got)
				var decode *ply.DecodeError
				var over *ply.BodyLimitError
				switch {
				case errors.As(tt.err, &decode):
					if !errors.As(err, &decode) || decode.Type.String() != "ply_test.user" {
						t.Errorf("error %v, want a DecodeError", err)
					}
				case errors.As(tt.err, &over):
					if !errors.As(err, &over) {
						t.Errorf("error %v, want a BodyLimitError", err)
					}
				case !errors.Is(err, tt.err):
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	var got user
	if err := (&ply.StatusError{StatusCode: 400, Excerpt: []byte(annXML)}).Decode(xml.Unmarshal, &got); err != nil || got.Name != "Ann" {
		t.Errorf("of an error that was made by hand: %+v, %v", got, err)
	}
}

// A 307 or 308 that was not followed is no success: the request has not arrived (RFC 9110 §15.4.8, §15.4.9).
func TestUnfollowedRedirectIsAnError(t *testing.T) {
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("x")) }
	tests := []struct {
		name     string
		status   int
		location string
		opts     []ply.RequestOption
		fails    bool
	}{
		{"307", 307, "/new", []ply.RequestOption{ply.BodyReader(stream())}, true},
		{"308", 308, "/new", []ply.RequestOption{ply.BodyReader(stream())}, true},
		{"a part that is a stream", 307, "/new", []ply.RequestOption{ply.BodyMultipart(ply.PartReader("f", "f", stream()))}, true},
		{"compressed", 307, "/new", []ply.RequestOption{ply.BodyReader(stream()), ply.CompressBody("gzip")}, true},
		{"no Location", 308, "", nil, true},
		{"expected", 307, "/new", []ply.RequestOption{ply.BodyReader(stream()), ply.NoRedirects()}, false},
		{"expected, no stream", 307, "/new", []ply.RequestOption{ply.BodyString("x"), ply.NoRedirects()}, false},
		{"a 303, which is followed without the body", 303, "/new", []ply.RequestOption{ply.BodyReader(stream())}, false},
		{"no redirect", 300, "", nil, false},
	}
	for _, tt := range tests {
		for _, r := range append(readers, discard, reader{"ErrorForStatus", func(resp *http.Response, err error) (string, error) {
			_, err = ply.ErrorForStatus(resp, err)
			return "", err
		}}, reader{"CheckStatus", nil}) {
			t.Run(tt.name+"/"+r.name, func(t *testing.T) {
				transport := &recorder{respond: func(req *http.Request) *http.Response {
					if req.URL.Path == "/new" {
						return reply(req, 200, nil, "7")
					}
					return reply(req, tt.status, http.Header{"Location": {tt.location}}, "7")
				}}
				c := newClient(t, ply.Options{Transport: transport})
				opts := tt.opts
				if r.read == nil {
					opts = append(opts[:len(opts):len(opts)], ply.CheckStatus(func(*http.Response) error { return nil }))
					r.read = func(_ *http.Response, err error) (string, error) { return "", err }
				}
				_, err := r.read(c.Post(t.Context(), "http://a.test/old?token=hush", opts...))
				var re *ply.RedirectError
				if errors.As(err, &re) != tt.fails || tt.fails && (re.Limit != 0 || re.Response.StatusCode != tt.status || strings.Contains(err.Error(), "hush")) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestStatusErrorNamesTheLastHop(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/a" {
			http.Redirect(w, req, "/b", http.StatusFound)
			return
		}
		http.Error(w, "gone for good", http.StatusGone)
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, call := range map[string]func() (*http.Response, error){
		"http.Client": func() (*http.Response, error) { return server.Client().Get(server.URL + "/a") },
		"ply.Client":  func() (*http.Response, error) { return client.Get(t.Context(), "/a") },
	} {
		_, err := ply.ErrorForStatus(call())
		var got *ply.StatusError
		if !errors.As(err, &got) || got.URL != server.URL+"/b" || got.Status != "410 Gone" || string(got.Excerpt) != "gone for good\n" {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestStatusIs(t *testing.T) {
	gone := fmt.Errorf("sync: %w", &ply.StatusError{StatusCode: 410})
	tests := []struct {
		name  string
		err   error
		codes []int
		want  bool
	}{
		{"the code", gone, []int{410}, true},
		{"one of the codes", gone, []int{404, 410}, true},
		{"another code", gone, []int{404}, false},
		{"any code", gone, nil, true},
		{"another error", io.EOF, []int{410}, false},
		{"another error, any code", io.EOF, nil, false},
		{"no error", nil, nil, false},
		{"joined", errors.Join(io.EOF, gone), []int{410}, true},
	}
	for _, tt := range tests {
		if got := ply.StatusIs(tt.err, tt.codes...); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestRetryAfter has the two forms of RFC 9110 §10.2.3.
func TestRetryAfter(t *testing.T) {
	const date = "Tue, 15 Nov 1994 08:12:31 GMT"
	tests := []struct {
		name, value, date string
		want              time.Duration
		ok                bool
	}{
		{"seconds", "120", "", 2 * time.Minute, true},
		{"no seconds", "0", "", 0, true},
		{"more seconds than a Duration has", "9223372036854775807", "", 9223372036 * time.Second, true},
		{"date", "Tue, 15 Nov 1994 08:13:01 GMT", date, 30 * time.Second, true},
		{"date in an obsolete form", "Tuesday, 15-Nov-94 08:13:01 GMT", date, 30 * time.Second, true},
		{"date that has passed", "Tue, 15 Nov 1994 08:12:01 GMT", date, 0, true},
		{"date that has passed, no Date", date, "", 0, true},
		{"none", "", "", 0, false},
		{"negative", "-1", "", 0, false},
		{"fraction", "1.5", "", 2 * time.Second, true},
		{"more than a number has", "99999999999999999999", "", 9223372036 * time.Second, true},
		{"words", "soon", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &ply.StatusError{StatusCode: 503, Header: http.Header{}}
			if tt.value != "" {
				e.Header.Set("Retry-After", tt.value)
			}
			if tt.date != "" {
				e.Header.Set("Date", tt.date)
			}
			if got, ok := e.RetryAfter(); got != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
	if _, ok := (&ply.StatusError{}).RetryAfter(); ok {
		t.Error("a wait without a header")
	}
}

func TestBelow400OfAResponseWithoutABody(t *testing.T) {
	if err := ply.Below400(&http.Response{StatusCode: 500}); !ply.StatusIs(err, 500) {
		t.Errorf("got %v", err)
	}
}
