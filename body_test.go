package ply_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// upload is a request as a server saw it. Body is the content itself, in hex its hash where it is long, and err what ended its reading.
type upload struct {
	Type, Encoding string
	Expect         string
	Length         int64
	Chunked        bool
	Body           string
	raw            []byte
	err            error
}

// uploads is a server that remembers what it was sent. /again answers 307 to /; hook, if there is one, runs before that.
type uploads struct {
	*httptest.Server
	hook func()

	mu  sync.Mutex // guards got
	got []upload
}

func receive(t *testing.T) *uploads {
	t.Helper()
	u := &uploads{}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *uploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	body := string(raw)
	if len(raw) > 200 {
		sum := sha256.Sum256(raw)
		body = hex.EncodeToString(sum[:])
	}
	u.mu.Lock()
	u.got = append(u.got, upload{
		Type: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"), Expect: r.Header.Get("Expect"),
		Length: r.ContentLength, Chunked: slices.Equal(r.TransferEncoding, []string{"chunked"}), Body: body, raw: raw, err: err,
	})
	u.mu.Unlock()
	if r.URL.Path == "/again" {
		if u.hook != nil {
			u.hook()
		}
		http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
	}
}

func (u *uploads) all() []upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.got)
}

// post sends to the server and expects an answer with the status.
func (u *uploads) post(t *testing.T, path string, status int, opts ...ply.RequestOption) {
	t.Helper()
	resp, err := newClient(t, ply.Options{BaseURL: u.URL}).Post(t.Context(), path, opts...)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, status, resp.StatusCode)
}

var sameUpload = cmpopts.IgnoreUnexported(upload{})

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// open opens the file at an offset. The tests check that it gets closed, so open does not register a cleanup.
func open(t *testing.T, path string, offset int64) *os.File {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.Seek(offset, io.SeekStart)
	require.NoError(t, err)
	return f
}

func isClosed(f *os.File) bool {
	_, err := f.Stat()
	return errors.Is(err, os.ErrClosed)
}

// stream is a reader of an unknown type, which can be read only once. It counts how often it is closed.
type stream struct {
	io.Reader
	closes atomic.Int32
	reads  atomic.Int32
}

func (s *stream) Read(p []byte) (int, error) {
	s.reads.Add(1)
	return s.Reader.Read(p)
}

func (s *stream) Close() error {
	s.closes.Add(1)
	return nil
}

// seekable is a stream that can be read at any offset.
type seekable struct {
	*strings.Reader
	closes atomic.Int32
}

func (s *seekable) Close() error {
	s.closes.Add(1)
	return nil
}

func TestBodyOptionsSetBodyAndHeader(t *testing.T) {
	path := file(t, "notes.json", "0123456789")
	unread := bytes.NewReader([]byte("0123456789"))
	_, err := unread.Seek(4, io.SeekStart)
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		opts []ply.RequestOption
		want upload
	}{
		{"none", nil, upload{}},
		{"bytes", []ply.RequestOption{ply.BodyBytes([]byte("\x00\xff"))}, upload{Length: 2, Body: "\x00\xff"}},
		{"string", []ply.RequestOption{ply.BodyString("é")}, upload{Type: "text/plain; charset=utf-8", Length: 2, Body: "é"}},
		{"JSON", []ply.RequestOption{ply.BodyJSON(map[string]int{"a": 1})}, upload{Type: "application/json", Length: 7, Body: `{"a":1}`}},
		{"JSON null", []ply.RequestOption{ply.BodyJSON(nil)}, upload{Type: "application/json", Length: 4, Body: `null`}},
		{
			"form", []ply.RequestOption{ply.BodyForm(url.Values{"b": {"2", "1"}, "a": {"x y&"}})},
			upload{Type: "application/x-www-form-urlencoded", Length: 16, Body: "a=x+y%26&b=2&b=1"},
		},
		{"a reader of unknown kind", []ply.RequestOption{ply.BodyReader(&stream{Reader: strings.NewReader("abc")})}, upload{Length: -1, Chunked: true, Body: "abc"}},
		{"a reader giving single bytes", []ply.RequestOption{ply.BodyReader(iotest.OneByteReader(strings.NewReader("abc")))}, upload{Length: -1, Chunked: true, Body: "abc"}},
		{"a reader giving data with its end", []ply.RequestOption{ply.BodyReader(iotest.DataErrReader(strings.NewReader("abc")))}, upload{Length: -1, Chunked: true, Body: "abc"}},
		{"a bytes.Reader from where it stands", []ply.RequestOption{ply.BodyReader(unread)}, upload{Length: 6, Body: "456789"}},
		{"a strings.Reader", []ply.RequestOption{ply.BodyReader(strings.NewReader("abc"))}, upload{Length: 3, Body: "abc"}},
		{"a bytes.Buffer", []ply.RequestOption{ply.BodyReader(bytes.NewBufferString("abc"))}, upload{Length: 3, Body: "abc"}},
		{"an open file from where it stands", []ply.RequestOption{ply.BodyReader(open(t, path, 7))}, upload{Length: 3, Body: "789"}},
		{"an open file beyond its end", []ply.RequestOption{ply.BodyReader(open(t, path, 70))}, upload{}},
		{"a device, whose length is unknown", []ply.RequestOption{ply.BodyReader(open(t, os.DevNull, 0))}, upload{Length: -1, Chunked: true}},
		{"a section", []ply.RequestOption{ply.BodyReader(io.NewSectionReader(strings.NewReader("0123456789"), 2, 3))}, upload{Length: 3, Body: "234"}},
		{"file", []ply.RequestOption{ply.BodyFile(path)}, upload{Type: "application/json", Length: 10, Body: "0123456789"}},
		{"file of no known type", []ply.RequestOption{ply.BodyFile(file(t, "x.ply-unknown", "x"))}, upload{Type: "application/octet-stream", Length: 1, Body: "x"}},
		{
			"given Content-Type", []ply.RequestOption{ply.BodyString("<p>"), ply.SetHeader("content-type", "text/html")},
			upload{Type: "text/html", Length: 3, Body: "<p>"},
		},
		{"no Content-Type", []ply.RequestOption{ply.OmitHeader("Content-Type"), ply.BodyString("x")}, upload{Length: 1, Body: "x"}},

		{"empty bytes", []ply.RequestOption{ply.BodyBytes(nil)}, upload{}},
		{"empty string", []ply.RequestOption{ply.BodyString("")}, upload{Type: "text/plain; charset=utf-8"}},
		{"empty form", []ply.RequestOption{ply.BodyForm(nil)}, upload{Type: "application/x-www-form-urlencoded"}},
		{"nil reader", []ply.RequestOption{ply.BodyReader(nil)}, upload{}},
		{"http.NoBody", []ply.RequestOption{ply.BodyReader(http.NoBody)}, upload{}},
		{"empty file", []ply.RequestOption{ply.BodyFile(file(t, "empty.json", ""))}, upload{Type: "application/json"}},
		{"a reader that turns out to be empty", []ply.RequestOption{ply.BodyReader(&stream{Reader: strings.NewReader("")})}, upload{Length: -1, Chunked: true}},
		{"empty, compressed and chunked", []ply.RequestOption{ply.CompressBody("gzip"), ply.Chunked(), ply.BodyBytes(nil)}, upload{}},

		{"expecting", []ply.RequestOption{ply.BodyBytes([]byte("abc")), ply.ExpectContinue()}, upload{Expect: "100-continue", Length: 3, Body: "abc"}},
		{"RFC 9110 §10.1.1: no expectation without a body", []ply.RequestOption{ply.ExpectContinue()}, upload{}},
		{"RFC 9110 §10.1.1: no expectation with an empty body", []ply.RequestOption{ply.BodyBytes(nil), ply.ExpectContinue()}, upload{}},

		{"options may be given together", []ply.RequestOption{ply.Combine(ply.Chunked(), ply.BodyBytes([]byte("x")))}, upload{Length: -1, Chunked: true, Body: "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := receive(t)
			server.post(t, "/", 200, tt.opts...)
			got := server.all()[0]
			require.NoError(t, got.err)
			if diff := cmp.Diff(tt.want, got, sameUpload); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// replayable returns new options for every kind of body that can be sent again.
func replayable(t *testing.T) map[string][]ply.RequestOption {
	long := strings.Repeat("0123456789", 20_000)
	path := file(t, "long.txt", long)
	form := func() ply.RequestOption {
		return ply.BodyMultipart(
			ply.PartField("a", "1"),
			ply.PartFile("f", path),
			ply.PartBytes("b", "b.bin", []byte(long)),
			ply.PartFunc("o", "o.bin", int64(len(long)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(long)), nil }),
			ply.PartReader("r", "r.bin", open(t, path, 5)))
	}
	return map[string][]ply.RequestOption{
		"bytes":               {ply.BodyBytes([]byte(long))},
		"string":              {ply.BodyString(long)},
		"JSON":                {ply.BodyJSON(long)},
		"form":                {ply.BodyForm(url.Values{"a": {long}})},
		"bytes.Reader":        {ply.BodyReader(bytes.NewReader([]byte(long)))},
		"bytes.Buffer":        {ply.BodyReader(bytes.NewBufferString(long))},
		"strings.Reader":      {ply.BodyReader(strings.NewReader(long))},
		"open file":           {ply.BodyReader(open(t, path, 3))},
		"seekable":            {ply.BodyReader(&seekable{Reader: strings.NewReader(long)})},
		"file":                {ply.BodyFile(path)},
		"empty":               {ply.BodyBytes(nil)},
		"multipart":           {form()},
		"multipart, chunked":  {form(), ply.Chunked()},
		"multipart, gzip":     {form(), ply.CompressBody("gzip")},
		"file, gzip":          {ply.BodyFile(path), ply.CompressBody("gzip")},
		"open file, deflate":  {ply.BodyReader(open(t, path, 0)), ply.CompressBody("deflate")},
		"string, progress":    {ply.BodyString(long), ply.UploadProgress(func(_, _ int64) {})},
		"file, 100-continue":  {ply.BodyFile(path), ply.ExpectContinue()},
		"open file, progress": {ply.BodyReader(open(t, path, 0)), ply.UploadProgress(func(_, _ int64) {}), ply.Chunked()},
	}
}

func TestBodyIsSentAgainAfterA307(t *testing.T) {
	for name, opts := range replayable(t) {
		t.Run(name, func(t *testing.T) {
			server := receive(t)
			server.post(t, "/again", 200, opts...)
			got := server.all()
			require.Len(t, got, 2)
			require.NoError(t, errors.Join(got[0].err, got[1].err))
			if diff := cmp.Diff(got[0], got[1], sameUpload); diff != "" {
				t.Errorf("the second time it is another one (-first +second)\n%s", diff)
			}
			if name != "empty" && got[0].Body == "" {
				t.Error("nothing was sent")
			}
		})
	}
}

func TestBodyReadOnceIsNotSentAgain(t *testing.T) {
	for name, opts := range map[string][]ply.RequestOption{
		"reader":         {ply.BodyReader(iotest.HalfReader(strings.NewReader("abc")))},
		"reader, gzip":   {ply.BodyReader(iotest.HalfReader(strings.NewReader("abc"))), ply.CompressBody("gzip")},
		"multipart":      {ply.BodyMultipart(ply.PartField("a", "1"), ply.PartReader("r", "", iotest.HalfReader(strings.NewReader("abc"))))},
		"pipe of the OS": {ply.BodyReader(pipe(t, "abc"))},
	} {
		t.Run(name, func(t *testing.T) {
			server := receive(t)
			server.post(t, "/again", http.StatusTemporaryRedirect, opts...)
			if got := server.all(); len(got) != 1 || got[0].err != nil {
				t.Errorf("server saw %+v", got)
			}
		})
	}
}

// pipe returns an *os.File that has the method Seek but cannot seek.
func pipe(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	_, err = w.WriteString(text)
	require.NoError(t, errors.Join(err, w.Close()))
	return r
}

func TestContradictingBodyOptionsAreErrors(t *testing.T) {
	text := ply.BodyString("x")
	forging := ply.PartField("a", "x")
	forging.ContentType = "text/plain\r\nX-Forged: 1"
	for _, tt := range []struct {
		name string
		opts []ply.RequestOption
		want string
	}{
		{"JSON and form", []ply.RequestOption{ply.BodyForm(nil), ply.BodyJSON(1)}, "ply: BodyJSON: combined with BodyForm: a request has one body"},
		{"twice the same", []ply.RequestOption{text, text}, "ply: BodyString: combined with BodyString: a request has one body"},
		{"file and bytes", []ply.RequestOption{ply.BodyBytes(nil), ply.BodyFile("/nowhere/x")}, "ply: BodyFile: combined with BodyBytes: a request has one body"},
		{"multipart and reader", []ply.RequestOption{ply.BodyReader(nil), ply.BodyMultipart()}, "ply: BodyMultipart: combined with BodyReader: a request has one body"},
		{"reader and JSON", []ply.RequestOption{ply.BodyJSON(1), ply.BodyReader(nil)}, "ply: BodyReader: combined with BodyJSON: a request has one body"},
		{"what JSON cannot say", []ply.RequestOption{ply.BodyJSON(func() {})}, "ply: BodyJSON: the value cannot be encoded: json: unsupported type: func()"},
		{"missing file", []ply.RequestOption{ply.BodyFile("/nowhere/x")}, "ply: BodyFile: the file cannot be sent: stat /nowhere/x: no such file or directory"},
		{
			"folder", []ply.RequestOption{ply.BodyFile("/")},
			"ply: BodyFile: the file cannot be sent: open /: not a regular file: open it and give it to BodyReader",
		},
		{"unknown encoding", []ply.RequestOption{ply.CompressBody("br")}, `ply: CompressBody: the encoding is unknown: give "gzip" or "deflate"`},
		{"two encodings", []ply.RequestOption{ply.CompressBody("gzip"), ply.CompressBody("deflate")}, "ply: CompressBody: given twice: a body is compressed once"},
		{
			"Compress and Content-Encoding", []ply.RequestOption{text, ply.CompressBody("gzip"), ply.SetHeader("Content-Encoding", "br")},
			"ply: CompressBody: combined with a Content-Encoding header: give one of them",
		},
		{
			"Chunked and Content-Length", []ply.RequestOption{text, ply.Chunked(), ply.SetHeader("Content-Length", "1")},
			"ply: Chunked: combined with a Content-Length header: give one of them",
		},
		{
			"multipart and Content-Type", []ply.RequestOption{ply.BodyMultipart(), ply.SetHeader("Content-Type", "multipart/form-data")},
			"ply: BodyMultipart: combined with a Content-Type header: leave it to the option, which knows the boundary",
		},
		{
			"part without content", []ply.RequestOption{ply.BodyMultipart(ply.Part{Name: "a"})},
			`ply: BodyMultipart: part "a" has no content: make it with PartField, PartBytes, PartFile, PartFunc or PartReader`,
		},
		{"part without a function", []ply.RequestOption{ply.BodyMultipart(ply.PartFunc("a", "f", 1, nil))},
			`ply: BodyMultipart: part "a" has no content: make it with PartField, PartBytes, PartFile, PartFunc or PartReader`,
		},
		{"part without name", []ply.RequestOption{ply.BodyMultipart(ply.PartField("", "x"))}, `ply: BodyMultipart: part "" has no name`},
		{
			"part of a missing file", []ply.RequestOption{ply.BodyMultipart(ply.PartFile("f", "/nowhere/x"))},
			`ply: BodyMultipart: part "f" cannot be sent: stat /nowhere/x: no such file or directory`,
		},
		{
			"part that forges a header", []ply.RequestOption{ply.BodyMultipart(forging)},
			`ply: BodyMultipart: part "a" has a ContentType with control characters`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transport := &recorder{}
			_, err := newClient(t, ply.Options{Transport: transport}).Post(t.Context(), "http://example.com/", tt.opts...)
			var option *ply.OptionError
			if !errors.As(err, &option) || err.Error() != tt.want {
				t.Errorf("error %q\nwant  %q", err, tt.want)
			}
			if len(transport.got) > 0 {
				t.Error("a request was sent")
			}
		})
	}
}

func TestBodyOptionsCanBeReused(t *testing.T) {
	opts := []ply.RequestOption{
		ply.BodyFile(file(t, "x.txt", "0123456789")), ply.CompressBody("gzip"), ply.Chunked(), ply.UploadProgress(func(_, _ int64) {}),
	}
	server := receive(t)
	var wg sync.WaitGroup
	c := newClient(t, ply.Options{BaseURL: server.URL})
	for range 8 {
		wg.Go(func() {
			resp, err := c.Post(context.Background(), "/", opts...)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	wg.Wait()
	got := server.all()
	for _, u := range got {
		if diff := cmp.Diff(got[0], u, sameUpload); diff != "" {
			t.Errorf("(-first +other)\n%s", diff)
		}
	}
}

func TestChunked(t *testing.T) {
	path := file(t, "x.txt", "0123456789")
	for name, body := range map[string]ply.RequestOption{
		"bytes": ply.BodyBytes([]byte("0123456789")),
		"open":  ply.BodyReader(open(t, path, 0)),
		"file":  ply.BodyFile(path),
	} {
		t.Run(name, func(t *testing.T) {
			server := receive(t)
			server.post(t, "/", 200, ply.Chunked(), body, ply.OmitHeader("Content-Type"))
			want := []upload{{Length: -1, Chunked: true, Body: "0123456789"}}
			if diff := cmp.Diff(want, server.all(), sameUpload); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
