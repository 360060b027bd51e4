package ply_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

type user struct {
	XMLName xml.Name `xml:"user" json:"-"`
	ID      int      `xml:"id" json:"id"`
	Name    string   `xml:"name" json:"name"`
}

// ann is what the bodies of these tests say, in JSON and in XML.
var ann = user{ID: 7, Name: "Ann"}

const (
	annJSON = `{"id":7,"name":"Ann"}`
	annXML  = `<user><id>7</id><name>Ann</name></user>`
)

// watchedBody counts what is done to a body.
type watchedBody struct {
	io.Reader
	read   int64
	closed int
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	return n, err
}

func (b *watchedBody) Close() error { b.closed++; return nil }

// served is a response in the making; length 0 stands for one that is not announced.
type served struct {
	status int
	media  string
	header http.Header
	body   func() io.Reader
	length int64
}

// get answers a GET of a URL full of secrets, by way of an *http.Client.
func (a served) get(ctx context.Context) (*watchedBody, *http.Response, error) {
	body := &watchedBody{Reader: strings.NewReader("")}
	if a.body != nil {
		body.Reader = a.body()
	}
	hc := &http.Client{Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: body, ContentLength: a.length, Request: req}
		for name, values := range a.header {
			resp.Header[name] = values
		}
		if a.status == 0 {
			resp.StatusCode = http.StatusOK
		}
		if a.length == 0 {
			resp.ContentLength = -1
		}
		if a.media != "" {
			resp.Header.Set("Content-Type", a.media)
		}
		return resp, nil
	})}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://ann:hush1@api.example.com/users/7?token=hush2", nil)
	if err != nil {
		panic(err)
	}
	resp, err := hc.Do(req)
	return body, resp, err
}

// text is a body that arrives as the readers say: one around another, the last of them outermost.
func text(s string, as ...func(io.Reader) io.Reader) func() io.Reader {
	return func() io.Reader {
		var r io.Reader = strings.NewReader(s)
		for _, wrap := range as {
			r = wrap(r)
		}
		return r
	}
}

// failing is a reader for [text] that ends in an error.
func failing(err error) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(err)) }
}

// reader is one of the functions that take a response, with its result as a string.
type reader struct {
	name string
	read func(*http.Response, error) (string, error)
}

var readers = []reader{
	{"JSON", func(resp *http.Response, err error) (string, error) {
		v, err := ply.JSON[json.RawMessage](resp, err)
		return string(v), err
	}},
	{"Decode", func(resp *http.Response, err error) (string, error) {
		return ply.Decode[string](func(data []byte, v any) error { *v.(*string) = string(data); return nil })(resp, err)
	}},
	{"Bytes", func(resp *http.Response, err error) (string, error) {
		b, err := ply.Bytes(resp, err)
		return string(b), err
	}},
	{"Text", ply.Text},
	{"CopyTo", func(resp *http.Response, err error) (string, error) {
		var b strings.Builder
		n, err := ply.CopyTo(&b)(resp, err)
		if n != int64(b.Len()) {
			err = fmt.Errorf("%d bytes reported, %d written", n, b.Len())
		}
		if err != nil {
			return "", err
		}
		return b.String(), nil
	}},
	{"Save", func(resp *http.Response, err error) (string, error) {
		dir, dirErr := os.MkdirTemp("", "ply")
		if dirErr != nil {
			return "", dirErr
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "saved")
		n, err := ply.Save(path)(resp, err)
		content, _ := os.ReadFile(path)
		if files, _ := os.ReadDir(dir); n != int64(len(content)) || err != nil && len(files) != 0 {
			err = fmt.Errorf("%d bytes reported, %d written to %v (%w)", n, len(content), files, err)
		}
		return string(content), err
	}},
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// stuck returns nothing at all.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestBodyIsReadWithinItsBounds(t *testing.T) {
	broken := errors.New("broken")
	large := `"` + strings.Repeat("x", 3<<20) + `"`
	tests := []struct {
		name   string
		answer served
		limit  int64
		want   string
		err    error
	}{
		{name: "whole", answer: served{body: text(annJSON), length: 21}, want: annJSON},
		{name: "length unknown", answer: served{body: text(annJSON)}, want: annJSON},
		{name: "byte by byte", answer: served{body: text(annJSON, iotest.OneByteReader), length: 21}, want: annJSON},
		{name: "byte by byte, length unknown", answer: served{body: text(annJSON, iotest.OneByteReader)}, want: annJSON},
		{name: "end with the last data", answer: served{body: text(annJSON, iotest.DataErrReader), length: 21}, want: annJSON},
		{name: "longer than announced", answer: served{body: text(annJSON), length: 3}, want: annJSON},
		{name: "large", answer: served{body: text(large), length: int64(len(large))}, want: large},
		{name: "large, length unknown", answer: served{body: text(large)}, want: large},
		{name: "at the limit", answer: served{body: text(annJSON), length: 21}, limit: 21, want: annJSON},
		{name: "at the limit, length unknown", answer: served{body: text(annJSON)}, limit: 21, want: annJSON},
		{name: "highest limit", answer: served{body: text(annJSON)}, limit: math.MaxInt64, want: annJSON},
		{name: "no limit", answer: served{body: text(large)}, limit: -1, want: large},

		{name: "cut", answer: served{body: text(annJSON[:9], failing(io.ErrUnexpectedEOF)), length: 21}, err: io.ErrUnexpectedEOF},
		{name: "shorter than announced", answer: served{body: text(annJSON), length: 22}, err: io.ErrUnexpectedEOF},
		{name: "empty though announced", answer: served{length: 21}, err: io.ErrUnexpectedEOF},
		{name: "error behind the data", answer: served{body: text(annJSON, failing(broken))}, err: broken},
		{name: "above the limit", answer: served{body: text(annJSON), length: 21}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "above the limit, length unknown", answer: served{body: text(annJSON)}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "above the limit, byte by byte", answer: served{body: text(annJSON, iotest.OneByteReader)}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "never ending", answer: served{body: func() io.Reader { return endless{} }}, limit: 1 << 20, err: &ply.BodyLimitError{}},
		{name: "never ending, as announced", answer: served{body: func() io.Reader { return endless{} }, length: math.MaxInt64}, limit: 1 << 20, err: &ply.BodyLimitError{}},
	}
	for _, tt := range tests {
		for _, r := range readers {
			t.Run(tt.name+"/"+r.name, func(t *testing.T) {
				body, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), tt.limit))
				got, err := r.read(resp, err)
				if got != tt.want {
					t.Errorf("content differs:\n%s", cmp.Diff(tt.want, got))
				}
				checkError(t, err, tt.err, tt.limit)
				if body.closed != 1 {
					t.Errorf("body closed %d times", body.closed)
				}
				if tt.limit > 0 && tt.limit < math.MaxInt64 && body.read > tt.limit+1 || tt.limit > 0 && tt.answer.length > tt.limit && body.read > 0 {
					t.Errorf("%d bytes fetched under a limit of %d", body.read, tt.limit)
				}
			})
		}
	}
}

// checkError wants err to be, or wrap, the other one, and to say nothing that is secret.
func checkError(t *testing.T, err, want error, limit int64) {
	t.Helper()
	var over *ply.BodyLimitError
	switch {
	case want == nil && err == nil:
		return
	case want == nil || err == nil:
		t.Fatalf("error %v, want %v", err, want)
	case errors.As(want, &over):
		if !errors.As(err, &over) || over.Limit != limit || !strings.Contains(err.Error(), fmt.Sprintf("limit of %d bytes", limit)) ||
			!strings.Contains(err.Error(), "ply.WithBodyLimit") {
			t.Errorf("error %q, want a BodyLimitError that names the limit of %d and how to raise it", err, limit)
		}
	case !errors.Is(err, want):
		t.Errorf("error %q, want %q", err, want)
	}
	for _, secret := range []string{"hush1", "hush2", "Ann"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	if !strings.Contains(err.Error(), "GET ") || !strings.Contains(err.Error(), "api.example.com/users/7") {
		t.Errorf("the error does not name the request: %v", err)
	}
}

func TestBodyLimitUnlessChosen(t *testing.T) {
	small := ply.WithBodyLimit(t.Context(), 5)
	for _, r := range readers {
		for name, ctx := range map[string]context.Context{"unchosen": t.Context(), "taken back": ply.WithBodyLimit(small, 0)} {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				large := `"` + strings.Repeat("x", int(ply.DefaultBodyLimit)-2) + `"`
				_, resp, err := served{body: text(large)}.get(ctx)
				if got, err := r.read(resp, err); err != nil || got != large {
					t.Errorf("at the default limit: %d bytes, %v", len(got), err)
				}
				_, resp, err = served{body: text(" " + large)}.get(ctx)
				got, err := r.read(resp, err)
				var over *ply.BodyLimitError
				switch r.name {
				case "CopyTo", "Save":
					if err != nil || len(got) != len(large)+1 {
						t.Errorf("what is not held in memory has a limit: %d bytes, %v", len(got), err)
					}
				default:
					if !errors.As(err, &over) || over.Limit != ply.DefaultBodyLimit {
						t.Errorf("above the default limit: %d bytes, %v", len(got), err)
					}
				}
			})
		}
	}
}

func TestReadersTakeWhatACallMayReturn(t *testing.T) {
	failed := errors.New("no connection")
	for _, r := range append(readers, discard) {
		t.Run(r.name, func(t *testing.T) {
			if _, err := r.read(nil, failed); err != failed {
				t.Errorf("error %v, want it as it was given", err)
			}
			// net/http has closed the body of a response that it returns with an error.
			body, resp, err := served{body: text(annJSON)}.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.read(resp, failed); err != failed || body.closed != 0 {
				t.Errorf("error %v, closed %d times", err, body.closed)
			}
			if _, err := r.read(nil, nil); err == nil {
				t.Error("no error for no response")
			}
			bare := &http.Response{StatusCode: http.StatusOK}
			if got, err := r.read(bare, nil); got != "" || err != nil && !errors.Is(err, ply.ErrEmptyBody) {
				t.Errorf("a response with neither request nor body: %q, %v", got, err)
			}
			bare = &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("7"))}
			if got, err := r.read(bare, nil); got != "7" && r.name != "Discard" || err != nil {
				t.Errorf("a response without request: %q, %v", got, err)
			}
		})
	}
}

func TestReaderThatReturnsNothingIsGivenUp(t *testing.T) {
	for _, r := range readers[:4] {
		body, resp, err := served{body: func() io.Reader { return stuck{} }}.get(t.Context())
		if _, err = r.read(resp, err); !errors.Is(err, io.ErrNoProgress) || body.closed != 1 {
			t.Errorf("%s: error %v, closed %d times", r.name, err, body.closed)
		}
	}
}

func TestMemoryFollowsWhatArrives(t *testing.T) {
	ctx := ply.WithBodyLimit(t.Context(), -1)
	allocated := func(a served) (bytes uint64) {
		_, resp, err := a.get(ctx)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ply.Bytes(resp, err)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if got := allocated(served{body: text("x"), length: 1 << 40}); got > 1<<20 {
		t.Errorf("%d bytes allocated for one byte that was announced as a tebibyte", got)
	}
	if got := allocated(served{body: text(strings.Repeat("x", 900_000)), length: 900_000}); got > 1_100_000 {
		t.Errorf("%d bytes allocated for 900000 announced", got)
	}
	if got := allocated(served{body: text(strings.Repeat("x", 8<<20)), length: 8 << 20}); got > 4*8<<20 {
		t.Errorf("%d bytes allocated for 8 MiB announced", got)
	}
}

func TestSmallAnnouncedBodyIsAllocatedOnce(t *testing.T) {
	content := strings.NewReader(annJSON)
	resp := &http.Response{StatusCode: http.StatusOK, ContentLength: 21, Body: io.NopCloser(content)}
	allocs := testing.AllocsPerRun(100, func() {
		content.Seek(0, io.SeekStart)
		if b, err := ply.Bytes(resp, nil); err != nil || len(b) != 21 {
			t.Fatal(len(b), err)
		}
	})
	if allocs != 1 {
		t.Errorf("%v allocations, want 1", allocs)
	}
}

func TestAnswerToHEADHasNoBodyWhateverItAnnounces(t *testing.T) {
	hc := &http.Client{Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, ContentLength: 1 << 40, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
	})}
	for _, r := range append(readers, discard) {
		if got, err := r.read(hc.Head("https://api.example.com/users/7")); got != "" || err != nil && !errors.Is(err, ply.ErrEmptyBody) {
			t.Errorf("%s: %q, %v", r.name, got, err)
		}
	}
}

func TestJSON(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		want   user
		err    string // part of its text, without the name of the request
	}{
		{name: "object", answer: served{body: text(annJSON)}, want: ann},
		{name: "white space around", answer: served{body: text(" \r\n" + annJSON + "\n\t")}, want: ann},
		{name: "byte order mark", answer: served{body: text("\ufeff" + annJSON)}, want: ann},
		{name: "any media type", answer: served{body: text(annJSON), media: "text/plain"}, want: ann},
		{name: "any status that is no failure", answer: served{body: text(annJSON), status: 399}, want: ann},
		{name: "null", answer: served{body: text("null")}},

		{name: "no content", answer: served{status: 204}, err: "no content"},
		{name: "no content, but a body", answer: served{status: 204, body: text(annJSON)}, err: "no content"},
		{name: "reset content", answer: served{status: 205}, err: "no content"},
		{name: "reset content, but a body", answer: served{status: 205, body: text(annJSON)}, err: "no content"},
		{name: "not modified", answer: served{status: 304, length: 21}, err: "no content"},
		{name: "not modified, but a body", answer: served{status: 304, body: text(annJSON)}, err: "no content"},
		{name: "empty", answer: served{}, err: "no content"},
		{name: "blank", answer: served{body: text(" \r\n\t")}, err: "no content"},
		{name: "only a byte order mark", answer: served{body: text("\ufeff\n")}, err: "no content"},

		{name: "not JSON", answer: served{body: text("<p>Ann</p>"), media: "text/html; charset=utf-8"}, err: "(text/html) into ply_test.user: invalid JSON at byte 1"},
		{name: "cut JSON", answer: served{body: text(annJSON[:14]), media: "application/json"}, err: "(application/json) into ply_test.user: invalid JSON at byte 14"},
		{name: "two values", answer: served{body: text(annJSON + annJSON)}, err: "(no media type) into ply_test.user: invalid JSON at byte 22"},
		{name: "garbage behind", answer: served{body: text(annJSON + " Ann")}, err: "invalid JSON at byte 23"},
		{name: "another type", answer: served{body: text(`{"id":"Ann"}`)}, err: "field id at byte 11 does not fit int"},
		{name: "another type of all", answer: served{body: text(`"Ann"`)}, err: "the value at byte 5 does not fit ply_test.user"},
		{name: "odd media type", answer: served{body: text("x"), media: "Ann; ="}, err: "(no media type)"},
		{name: "long media type", answer: served{body: text("x"), media: "text/" + strings.Repeat("x", 1000)}, err: "(no media type)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := tt.answer.get(t.Context())
			got, err := ply.JSON[user](resp, err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			var decode *ply.DecodeError
			switch {
			case tt.err == "":
				checkError(t, err, nil, 0)
			case tt.err == "no content":
				checkError(t, err, ply.ErrEmptyBody, 0)
			case !errors.As(err, &decode):
				t.Errorf("error %v, want a DecodeError", err)
			default:
				checkError(t, err, decode.Err, 0)
			}
			if err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %q, want %q in it", err, tt.err)
			}
			if body.closed != 1 {
				t.Errorf("body closed %d times", body.closed)
			}
		})
	}
}

func TestDecodeErrorHasAllButTheContent(t *testing.T) {
	_, resp, err := served{body: text(`"Ann's birthday"`), media: "application/json; charset=utf-8"}.get(t.Context())
	_, err = ply.JSON[time.Time](resp, err)
	var decode *ply.DecodeError
	var parse *time.ParseError
	if !errors.As(err, &decode) || !errors.As(err, &parse) {
		t.Fatalf("error %v, want a DecodeError around the error of the type", err)
	}
	if strings.Contains(err.Error(), "Ann") || !strings.Contains(parse.Error(), "Ann") {
		t.Errorf("the content belongs into the inner error alone: %q around %q", err, parse)
	}
	if decode.Method != "GET" || strings.Contains(decode.URL, "hush") || decode.MediaType != "application/json" || decode.Type.String() != "time.Time" {
		t.Errorf("got %+v", decode)
	}
}

func TestDecodeWithAnotherFormat(t *testing.T) {
	body, resp, err := served{body: text(annXML, iotest.OneByteReader), media: "application/xml"}.get(t.Context())
	got, err := ply.Decode[user](xml.Unmarshal)(resp, err)
	got.XMLName = xml.Name{}
	if diff := cmp.Diff(ann, got); diff != "" || err != nil || body.closed != 1 {
		t.Errorf("error %v, closed %d times, value (-want +got):\n%s", err, body.closed, diff)
	}

	_, resp, err = served{body: text("Ann"), media: "application/xml"}.get(t.Context())
	got, err = ply.Decode[user](func(data []byte, v any) error {
		v.(*user).ID = 8
		return fmt.Errorf("cannot make sense of %q", data)
	})(resp, err)
	var decode *ply.DecodeError
	if !errors.As(err, &decode) || strings.Contains(err.Error(), "Ann") || got != (user{}) {
		t.Errorf("got %+v and error %v, want nothing and a DecodeError", got, err)
	}
}

func TestText(t *testing.T) {
	tests := []struct{ name, media, content, want, err string }{
		{name: "nothing said", content: "Grüße", want: "Grüße"},
		{name: "utf-8", media: "text/plain; charset=UTF-8", content: "Grüße", want: "Grüße"},
		{name: "utf8", media: `text/plain; charset="utf8"`, content: "Grüße", want: "Grüße"},
		{name: "odd Content-Type", media: "; =", content: "Grüße", want: "Grüße"},
		{name: "no text at all", content: "", want: ""},
		{name: "byte order mark", content: "\ufeffGrüße", want: "Grüße"},
		{name: "byte order mark against the charset", media: "text/plain; charset=iso-8859-1", content: "\ufeffGrüße", want: "Grüße"},
		{name: "byte order mark against an unknown charset", media: "text/plain; charset=x", content: "\ufeffGrüße", want: "Grüße"},
		{name: "not utf-8", content: "a\xffb", want: "a\ufffdb"},

		{name: "iso-8859-1", media: "text/plain; charset=ISO-8859-1", content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "latin1", media: "text/plain; charset=latin1", content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "us-ascii", media: "text/plain; charset=us-ascii", content: "abc\x00\x7f", want: "abc\x00\x7f"},
		{name: "windows-1252", media: "text/plain; charset=windows-1252", content: "\x80\x81\x93\x9f\xa0\xff", want: "€\u0081“Ÿ\u00a0ÿ"},

		{name: "utf-16, big end first", media: "text/plain; charset=utf-16", content: "\xfe\xff\x00G\x00\xfc\xd8\x3d\xde\x00", want: "Gü😀"},
		{name: "utf-16, little end first", media: "text/plain; charset=utf-16", content: "\xff\xfeG\x00\xfc\x00\x3d\xd8\x00\xde", want: "Gü😀"},
		{name: "utf-16, nothing said", content: "\xff\xfeG\x00", want: "G"},
		{name: "utf-16le", media: "text/plain; charset=utf-16le", content: "G\x00\xfc\x00", want: "Gü"},
		{name: "utf-16be", media: "text/plain; charset=utf-16be", content: "\x00G\x00\xfc", want: "Gü"},
		{name: "utf-16, cut and half pairs", content: "\xfe\xff\xd8\x3d\x00G\xde\x00\xd8\x3d\x00", want: "\ufffdG\ufffd\ufffd\ufffd"},
		{name: "utf-16, no byte order mark", media: "text/plain; charset=utf-16", content: "\x00G", err: "charset utf-16 without a byte order mark"},

		{name: "unknown", media: "text/plain; charset=Shift_JIS", content: "Ann", err: `charset "shift_jis" is not known: take ply.Bytes`},
		{name: "unknown and long", media: "text/plain; charset=" + strings.Repeat("x", 1000), content: "Ann", err: strings.Repeat("x", 100) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := served{body: text(tt.content, iotest.HalfReader), media: tt.media}.get(t.Context())
			got, err := ply.Text(resp, err)
			if got != tt.want || body.closed != 1 {
				t.Errorf("got %q, want %q; closed %d times", got, tt.want, body.closed)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil {
				checkError(t, err, err, 0)
			}
		})
	}
}

// discard is [ply.Discard] as a reader, which has no result.
var discard = reader{"Discard", func(resp *http.Response, err error) (string, error) { return "", ply.Discard(resp, err) }}

func TestDiscard(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name   string
		answer served
		atMost int64
		err    error
	}{
		{"short", served{body: text(annJSON, iotest.OneByteReader)}, 21, nil},
		{"never ending", served{body: func() io.Reader { return endless{} }}, 65 << 10, nil},
		{"never ending, as announced", served{body: func() io.Reader { return endless{} }, length: 1 << 40}, 0, nil},
		{"broken", served{body: text(annJSON, failing(broken))}, 21, broken},
		{"cut", served{body: text(annJSON, failing(io.ErrUnexpectedEOF)), length: 22}, 21, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), 1))
			checkError(t, ply.Discard(resp, err), tt.err, 0)
			if body.closed != 1 || body.read > tt.atMost {
				t.Errorf("closed %d times after %d bytes", body.closed, body.read)
			}
		})
	}
}

func TestCopyToPassesOnWhatCameBeforeTheError(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		limit  int64
		want   string
		err    error
	}{
		{"cut", served{body: text("abc", failing(io.ErrUnexpectedEOF))}, 0, "abc", io.ErrUnexpectedEOF},
		{"above the limit", served{body: text("abcde")}, 3, "abc", &ply.BodyLimitError{}},
		{"above the limit, byte by byte", served{body: text("abcde", iotest.OneByteReader)}, 3, "abc", &ply.BodyLimitError{}},
		{"above the limit, as announced", served{body: text("abcde"), length: 5}, 3, "", &ply.BodyLimitError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), tt.limit))
			var b strings.Builder
			n, err := ply.CopyTo(&b)(resp, err)
			if b.String() != tt.want || n != int64(len(tt.want)) {
				t.Errorf("got %q and %d, want %q", &b, n, tt.want)
			}
			checkError(t, err, tt.err, tt.limit)
		})
	}
	t.Run("full", func(t *testing.T) {
		full := errors.New("full")
		body, resp, err := served{body: text("abc")}.get(t.Context())
		_, err = ply.CopyTo(writerFunc(func([]byte) (int, error) { return 0, full }))(resp, err)
		checkError(t, err, full, 0)
		if body.closed != 1 {
			t.Errorf("body closed %d times", body.closed)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSaveReplacesAFileAsAWholeOrNotAtAll(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		want   string
		ok     bool
	}{
		{"whole", served{body: text("new")}, "new", true},
		{"empty", served{}, "", true},
		{"another success", served{body: text("new"), status: 299}, "new", true},
		{"cut", served{body: text("ne", failing(io.ErrUnexpectedEOF))}, "old", false},
		{"a failure", served{body: text("new"), status: 404}, "old", false},
		{"not modified", served{status: 304}, "old", false},
		{"the page of a redirect", served{body: text("new"), status: 302}, "old", false},
		{"a redirect that was not followed", served{body: text("new"), status: 307}, "old", false},
		{"several choices", served{body: text("new"), status: 300}, "old", false},
		{"an upgrade", served{body: text("new"), status: 101}, "old", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			body, resp, err := tt.answer.get(t.Context())
			n, err := ply.Save(path)(resp, err)
			if (err == nil) != tt.ok || tt.ok && n != int64(len(tt.want)) || !tt.ok && n != 0 || body.closed != 1 {
				t.Errorf("%d bytes, error %v, closed %d times", n, err, body.closed)
			}
			got, _ := os.ReadFile(path)
			files, _ := os.ReadDir(dir)
			if string(got) != tt.want || len(files) != 1 {
				t.Errorf("the file has %q, want %q; the directory has %v", got, tt.want, files)
			}
		})
	}
}

func TestSaveThatCannotWriteClosesTheBody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "occupied"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "file"), filepath.Join(dir, "occupied")} {
		body, resp, err := served{body: text("new")}.get(t.Context())
		n, err := ply.Save(path)(resp, err)
		files, _ := os.ReadDir(dir)
		if err == nil || n != 0 || body.closed != 1 || len(files) != 1 {
			t.Errorf("%d bytes, error %v, closed %d times, left behind %v", n, err, body.closed, files)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "ply: saving GET ") {
			t.Errorf("error %q", err)
		}
	}
}

func TestASavedFileKeepsItsPermissions(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640, 0o644, 0o666, 0o755, 0o000} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, resp, err := served{body: text("new")}.get(t.Context())
		if _, err := ply.Save(path)(resp, err); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != mode || info.Size() != 3 {
			t.Errorf("%v became %v with %d bytes, %v", mode, info.Mode(), info.Size(), err)
		}
	}
}

func TestSaveLeavesTheNameToTheFileSystem(t *testing.T) {
	for _, length := range []int{1, 200, 255} {
		path := filepath.Join(t.TempDir(), strings.Repeat("n", length))
		_, resp, err := served{body: text("new")}.get(t.Context())
		if n, err := ply.Save(path)(resp, err); err != nil || n != 3 {
			t.Errorf("a name of %d bytes: %d, %v", length, n, err)
		}
	}
}

func TestSaveLeavesNothingBehindAPanic(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		dir := t.TempDir()
		body := &watchedBody{Reader: readerFunc(func([]byte) (int, error) { end(); return 0, nil })}
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			ply.Save(filepath.Join(dir, "file"))(&http.Response{StatusCode: 200, Body: body, ContentLength: -1}, nil)
		}()
		if v := <-done; (v != nil) != (name == "panic") || body.closed != 1 {
			t.Errorf("%s: recovered %v, body closed %d times", name, v, body.closed)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%s left %v", name, files)
		}
	}
}

func TestJSONObeysTheCharset(t *testing.T) {
	const want = "Grüße"
	tests := []struct{ name, media, content, err string }{
		{"nothing said", "application/json", `"Grüße"`, ""},
		{"utf-8", "application/json; charset=utf-8", `"Grüße"`, ""},
		{"byte order mark", "application/json; charset=iso-8859-1", "\ufeff\"Grüße\"", ""},
		{"iso-8859-1", "application/json; charset=ISO-8859-1", "\"Gr\xfc\xdfe\"", ""},
		{"windows-1252", "application/json; charset=windows-1252", "\"Gr\xfc\xdfe\"", ""},
		{"escapes in any charset", "application/json; charset=x-unknown", `"Gr\u00fc\u00dfe"`, ""},
		{"us-ascii that is more", "application/json; charset=us-ascii", `"Grüße"`, ""},
		{"utf-16le", "application/json; charset=utf-16le", "\"\x00G\x00r\x00\xfc\x00\xdf\x00e\x00\"\x00", ""},
		{"utf-16 by its mark", "application/json", "\xfe\xff\x00\"\x00G\x00r\x00\xfc\x00\xdf\x00e\x00\"", ""},
		{"utf-16 without its mark", "application/json; charset=utf-16", "\x00\"\x00G", "byte order mark"},
		{"unknown, with escapes", "application/json; charset=iso-2022-jp", "\"\x1b$B$\"\x1b(B\"", `charset "iso-2022-jp" is not known`},
		{"unknown, in seven bits", "application/json; charset=utf-7", `"Gr+APwA3w-e"`, `charset "utf-7" is not known`},
		{"unknown", "application/json; charset=Shift_JIS", "\"\x83\"", `charset "shift_jis" is not known`},
	}
	for _, tt := range tests {
		for name, decode := range map[string]func(*http.Response, error) (string, error){"JSON": ply.JSON[string], "Decode": ply.Decode[string](json.Unmarshal)} {
			_, resp, err := served{body: text(tt.content), media: tt.media}.get(t.Context())
			got, err := decode(resp, err)
			var decodeErr *ply.DecodeError
			switch {
			case tt.err == "" && (got != want || err != nil):
				t.Errorf("%s, %s: %q, %v", name, tt.name, got, err)
			case tt.err != "" && (!errors.As(err, &decodeErr) || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%s, %s: error %v, want %q", name, tt.name, err, tt.err)
			}
		}
	}
}

func TestDecodeGetsTextInUTF8AndAnythingElseAsItCame(t *testing.T) {
	const declared = "<?xml version='1.0' encoding='iso-8859-1'?><a>\xfc</a>"
	tests := []struct{ name, media, content, want string }{
		{"XML", "text/xml; charset=iso-8859-1", "<a>\xfc</a>", "<a>ü</a>"},
		{"XML that says so itself", "text/xml; charset=iso-8859-1", declared, declared},
		{"no text", "application/x-protobuf", "\xfe\xff\x00\x01", "\xfe\xff\x00\x01"},
	}
	for _, tt := range tests {
		_, resp, err := served{body: text(tt.content), media: tt.media}.get(t.Context())
		got, err := ply.Decode[string](func(b []byte, v any) error { *v.(*string) = string(b); return nil })(resp, err)
		if got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// net/http removes gzip where it has asked for it, and the field with it.
func TestErrorsNameACodingThatNothingRemoved(t *testing.T) {
	for _, coding := range []string{"br", "zstd", "gzip", "Deflate", "br, gzip"} {
		for _, r := range []reader{readers[0], {"Text", ply.Text}} {
			_, resp, err := served{body: text("\x1f\x8b\x08"), header: http.Header{"Content-Encoding": {coding}}}.get(t.Context())
			_, err = r.read(resp, err)
			var decode *ply.DecodeError
			if !errors.As(err, &decode) || decode.ContentEncoding != strings.ToLower(coding) || !strings.Contains(err.Error(), strings.ToLower(coding)) {
				t.Errorf("%s of %s: error %v", r.name, coding, err)
			}
		}
		_, resp, err := served{body: text("\x1f\x8b"), header: http.Header{"Content-Encoding": {coding}}}.get(t.Context())
		if b, err := ply.Bytes(resp, err); string(b) != "\x1f\x8b" || err != nil {
			t.Errorf("Bytes of %s: %q, %v; want them as they came", coding, b, err)
		}
	}
	for _, harmless := range []string{"identity", "", "utf-8", "none"} {
		_, resp, err := served{body: text(annJSON), header: http.Header{"Content-Encoding": {harmless}}}.get(t.Context())
		if _, err := ply.JSON[user](resp, err); err != nil {
			t.Errorf("%q: %v", harmless, err)
		}
	}
}

func TestHistoryIsOldestFirst(t *testing.T) {
	origin := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: http.StatusFound, Header: http.Header{}, Body: http.NoBody, Request: req}
		switch req.URL.Path {
		case "/a":
			resp.Header.Set("Location", "/b")
		case "/b":
			resp.Header.Set("Location", "/c")
		default:
			resp.StatusCode = http.StatusOK
		}
		return resp, nil
	})
	client, err := ply.New(ply.Options{Transport: origin})
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: origin}
	for name, get := range map[string]func(url string) (*http.Response, error){
		"http.Client": hc.Get,
		"ply.Client":  func(url string) (*http.Response, error) { return client.Get(t.Context(), url) },
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := get("https://api.example.com/a")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range ply.History(resp) {
				got = append(got, r.Request.URL.Path+" "+r.Header.Get("Location"))
			}
			if diff := cmp.Diff([]string{"/a /b", "/b /c"}, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			resp, err = get("https://api.example.com/c")
			if err != nil || len(ply.History(resp)) != 0 {
				t.Errorf("history of a response that came at once: %v, %v", ply.History(resp), err)
			}
		})
	}
	if got := ply.History(nil); len(got) != 0 {
		t.Errorf("history of no response: %v", got)
	}
	if got := ply.History(&http.Response{}); len(got) != 0 {
		t.Errorf("history of a response without request: %v", got)
	}
}

func TestContextEndsAReadThatWaits(t *testing.T) {
	for _, r := range append(readers, discard, reader{"ErrorForStatus", func(resp *http.Response, err error) (string, error) {
		_, err = ply.ErrorForStatus(resp, err)
		return "", err
	}}) {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				status := http.StatusOK
				if r.name == "ErrorForStatus" {
					status = http.StatusBadGateway
				}
				start := time.Now()
				body, resp, err := served{status: status, body: text("7", func(sent io.Reader) io.Reader {
					return io.MultiReader(sent, readerFunc(func([]byte) (int, error) {
						<-ctx.Done()
						return 0, ctx.Err()
					}))
				})}.get(ctx)
				_, err = r.read(resp, err)
				if time.Since(start) != time.Minute || body.closed != 1 {
					t.Errorf("returned after %v, closed %d times", time.Since(start), body.closed)
				}
				var failed *ply.StatusError
				if errors.As(err, &failed) && string(failed.Excerpt) == "7" {
					return
				}
				checkError(t, err, context.DeadlineExceeded, 0)
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestConnectionServesAgain counts the connections that a series of calls needs: over real sockets, through net/http's transport.
func TestConnectionServesAgain(t *testing.T) {
	mux := http.NewServeMux()
	serve := func(path string, status int, content string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if http.NewResponseController(w).Flush() == nil { // no Content-Length: the body is chunked
				io.WriteString(w, content)
			}
		})
	}
	serve("/ok", 200, annJSON)
	serve("/garbage", 200, annJSON+" and more")
	serve("/none", 204, "")
	serve("/page", 200, strings.Repeat("x", 50<<10))
	serve("/failure", 500, annJSON)
	serve("/failure/page", 500, strings.Repeat("x", 50<<10))
	serve("/failure/exact", 500, strings.Repeat("x", 4<<10))
	serve("/huge", 200, strings.Repeat("x", 8<<20))
	serve("/failure/huge", 500, strings.Repeat("x", 8<<20))

	tests := []struct {
		name string
		use  func(get func(path string) (*http.Response, error))
		want int32
	}{
		{"read", func(get func(string) (*http.Response, error)) {
			ply.JSON[user](get("/ok"))
			ply.JSON[user](get("/garbage"))
			ply.JSON[user](get("/none"))
			ply.JSON[user](get("/failure"))
			ply.Bytes(get("/page"))
			ply.Text(get("/ok"))
			ply.CopyTo(io.Discard)(get("/page"))
			ply.Discard(get("/page"))
			ply.Discard(get("/none"))
			ply.ErrorForStatus(get("/failure"))
			ply.ErrorForStatus(get("/failure/page"))
			ply.ErrorForStatus(get("/failure/exact"))
		}, 1},
		{"not worth reading", func(get func(string) (*http.Response, error)) {
			ply.Discard(get("/huge"))
			ply.ErrorForStatus(get("/failure/huge"))
			ply.Bytes(get("/ok"))
		}, 3},
	}
	for _, tt := range tests {
		for _, which := range []string{"http.Client", "ply.Client"} {
			t.Run(tt.name+"/"+which, func(t *testing.T) {
				var connections atomic.Int32
				server := httptest.NewUnstartedServer(mux)
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						connections.Add(1)
					}
				}
				server.Start()
				defer server.Close()
				get := func(path string) (*http.Response, error) { return server.Client().Get(server.URL + path) }
				if which == "ply.Client" {
					client, err := ply.New(ply.Options{BaseURL: server.URL})
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close()
					get = func(path string) (*http.Response, error) { return client.Get(t.Context(), path) }
				}
				tt.use(get)
				if got := connections.Load(); got != tt.want {
					t.Errorf("%d connections, want %d", got, tt.want)
				}
			})
		}
	}
}

// TestBodyCutOnTheWire has a server break off, with and without a Content-Length.
func TestBodyCutOnTheWire(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/announced" {
			w.Header().Set("Content-Length", "21")
		}
		io.WriteString(w, annJSON[:9])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, path := range []string{"/announced", "/chunked"} {
		for _, r := range append(slices.Clone(readers), discard) {
			got, err := r.read(server.Client().Get(server.URL + path))
			if got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of http.Client, %s: %q, %v", r.name, path, got, err)
			}
			got, err = r.read(client.Get(t.Context(), path))
			if got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of ply.Client, %s: %q, %v", r.name, path, got, err)
			}
		}
	}
}
