package ply_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
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

// open opens the file at an offset. Who closes it is what is tested.
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

// stream is a reader of unknown kind, which can be read once, and counts how often it is closed.
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

func TestBodies(t *testing.T) {
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

// replayable has every kind of body that can be sent again, each call anew.
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

// pipe is an *os.File that has the methods to seek and cannot.
func pipe(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	_, err = w.WriteString(text)
	require.NoError(t, errors.Join(err, w.Close()))
	return r
}

func TestOptionsForBodiesThatCannotHold(t *testing.T) {
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

// A reader that is handed over is closed once, whatever becomes of the request.
func TestGivenReaderIsClosedOnce(t *testing.T) {
	server := receive(t)
	boom := errors.New("boom")
	refuse := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		req.Body.Close() // once too often, as layers do
		return nil, boom
	})
	answer := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		return reply(req, 200, nil, "from a cache"), nil
	})
	twice := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		if req.GetBody != nil {
			again, err := req.GetBody()
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, again)
			require.NoError(t, errors.Join(err, again.Close()))
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	for _, path := range []struct {
		name string
		do   func(t *testing.T, body ply.RequestOption) error
	}{
		{"sent", send(ply.Options{BaseURL: server.URL}, "/")},
		{"sent compressed", send(ply.Options{BaseURL: server.URL}, "/", ply.CompressBody("gzip"))},
		{"sent with progress", send(ply.Options{BaseURL: server.URL}, "/", ply.Chunked(), ply.UploadProgress(func(_, _ int64) {}))},
		{"redirected", send(ply.Options{BaseURL: server.URL}, "/again")},
		{"attempted twice", send(ply.Options{BaseURL: server.URL, Transport: twice}, "/")},
		{"answered unread", send(ply.Options{BaseURL: server.URL, Transport: answer}, "/")},
		{"refused by the transport", send(ply.Options{BaseURL: server.URL, Transport: refuse}, "/")},
		{"relative URL without a base", send(ply.Options{}, "/")},
		{"no URL", send(ply.Options{}, "http://[::1")},
		{"a later option fails", send(ply.Options{BaseURL: server.URL}, "/", ply.CompressBody("none"))},
		{"a second body", send(ply.Options{BaseURL: server.URL}, "/", ply.BodyBytes(nil))},
		{"a contradicting header", send(ply.Options{BaseURL: server.URL}, "/", ply.Chunked(), ply.SetHeader("Content-Length", "3"))},
		{"client closed", func(t *testing.T, body ply.RequestOption) error {
			c := newClient(t, ply.Options{BaseURL: server.URL})
			c.Close()
			_, err := c.Post(t.Context(), "/", body)
			return err
		}},
		{"cancelled", func(t *testing.T, body ply.RequestOption) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(ctx, "/", body)
			return err
		}},
		{"refused as a second body", func(t *testing.T, body ply.RequestOption) error {
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/", ply.BodyBytes(nil), body)
			return err
		}},
	} {
		for _, kind := range []string{"stream", "seekable"} {
			for _, as := range []string{"BodyReader", "part"} {
				t.Run(path.name+", "+kind+" as "+as, func(t *testing.T) {
					var r io.Reader
					var closes *atomic.Int32
					if kind == "stream" {
						s := &stream{Reader: strings.NewReader("abc")}
						r, closes = s, &s.closes
					} else {
						s := &seekable{Reader: strings.NewReader("abc")}
						r, closes = s, &s.closes
					}
					option := ply.BodyReader(r)
					if as == "part" {
						option = ply.BodyMultipart(ply.PartField("a", "1"), ply.PartReader("r", "", r))
					}
					err := path.do(t, option)
					if n := closes.Load(); n != 1 {
						t.Errorf("closed %d times, want once (error: %v)", n, err)
					}
				})
			}
		}
	}
}

func send(o ply.Options, target string, more ...ply.RequestOption) func(*testing.T, ply.RequestOption) error {
	return func(t *testing.T, body ply.RequestOption) error {
		resp, err := newClient(t, o).Post(t.Context(), target, append([]ply.RequestOption{body}, more...)...)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
}

func TestReadersOfAllPartsAreClosedWhenOneIsRefused(t *testing.T) {
	before, after := &stream{Reader: strings.NewReader("a")}, &seekable{Reader: strings.NewReader("b")}
	_, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyMultipart(
		ply.PartReader("before", "", before), ply.Part{Name: "broken"}, ply.PartReader("after", "", after)))
	if err == nil || before.closes.Load() != 1 || after.closes.Load() != 1 {
		t.Errorf("closed %d and %d times; error %v", before.closes.Load(), after.closes.Load(), err)
	}

	nameless := &stream{Reader: strings.NewReader("a")}
	_, err = newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyMultipart(ply.PartReader("", "", nameless)))
	if err == nil || nameless.closes.Load() != 1 {
		t.Errorf("closed %d times; error %v", nameless.closes.Load(), err)
	}
}

func TestEmptyReaderIsClosedWhenTheRequestIsMade(t *testing.T) {
	empty := &seekable{Reader: strings.NewReader("")}
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(empty))
	require.NoError(t, err)
	if req.Body != http.NoBody || empty.closes.Load() != 1 {
		t.Errorf("body %T, closed %d times", req.Body, empty.closes.Load())
	}
}

func TestGivenReaderOutlivesTheCallWhileAnAttemptReads(t *testing.T) {
	s := &seekable{Reader: strings.NewReader("abcdef")}
	var late io.ReadCloser
	early := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		late = req.Body // a transport may go on reading after the response
		return reply(req, 200, nil, "early"), nil
	})
	c := newClient(t, ply.Options{Transport: early})
	req, err := c.NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(s))
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if s.closes.Load() != 0 {
		t.Fatal("closed while an attempt reads")
	}
	got, err := io.ReadAll(late)
	if string(got) != "abcdef" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	late.Close()
	late.Close()
	if n := s.closes.Load(); n != 1 {
		t.Errorf("closed %d times", n)
	}
	if _, err := req.GetBody(); err == nil || !strings.Contains(err.Error(), "make a new request") {
		t.Errorf("opened after the end of its call: %v", err)
	}
}

func TestAttemptsDoNotShareACursor(t *testing.T) {
	want := strings.Repeat("0123456789", 10_000)
	f := open(t, file(t, "x", "???"+want), 3)
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(f))
	require.NoError(t, err)
	var wg sync.WaitGroup
	read := func(rc io.ReadCloser) {
		defer rc.Close()
		if got, err := io.ReadAll(iotest.HalfReader(rc)); string(got) != want || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	}
	wg.Go(func() { read(req.Body) })
	for range 8 {
		wg.Go(func() {
			rc, err := req.GetBody()
			if err != nil {
				t.Error(err)
				return
			}
			read(rc)
		})
	}
	wg.Wait()
	if at, err := f.Seek(0, io.SeekCurrent); at != 3 || err != nil {
		t.Errorf("the file stands at %d, %v; want 3", at, err)
	}
}

func TestErrorOfTheReaderReachesTheCaller(t *testing.T) {
	boom := errors.New("boom")
	broken := func() io.Reader { return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(boom)) }
	for name, opts := range map[string][]ply.RequestOption{
		"reader":    {ply.BodyReader(broken())},
		"gzip":      {ply.BodyReader(broken()), ply.CompressBody("gzip")},
		"multipart": {ply.BodyMultipart(ply.PartReader("r", "", broken()))},
		"part func": {ply.BodyMultipart(ply.PartFunc("r", "", 10, func() (io.ReadCloser, error) { return io.NopCloser(broken()), nil }))},
		"opener":    {ply.BodyMultipart(ply.PartField("a", "1"), ply.PartFunc("r", "", 10, func() (io.ReadCloser, error) { return nil, boom }))},
	} {
		t.Run(name, func(t *testing.T) {
			server := receive(t)
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/", opts...)
			if !errors.Is(err, boom) {
				t.Errorf("error %v", err)
			}
			server.Close()
			for _, got := range server.all() {
				if got.err == nil {
					t.Errorf("the server takes %q for complete", got.Body)
				}
			}
		})
	}
}

func TestFileThatChanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(path string) error
		want   string
	}{
		{"removed", os.Remove, "no such file"},
		{"longer", func(path string) error { return os.WriteFile(path, []byte("0123456789+"), 0o600) }, "from 10 to 11 bytes"},
		{"shorter", func(path string) error { return os.Truncate(path, 4) }, "from 10 to 4 bytes"},
	} {
		for _, as := range []string{"BodyFile", "PartFile"} {
			t.Run(tt.name+" between attempts, "+as, func(t *testing.T) {
				path := file(t, "x.txt", "0123456789")
				option := ply.BodyFile(path)
				if as == "PartFile" {
					option = ply.BodyMultipart(ply.PartFile("f", path))
				}
				server := receive(t)
				server.hook = func() { require.NoError(t, tt.change(path)) }
				_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/again", option)
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v", err)
				}
				server.Close()
				for _, got := range server.all()[1:] {
					if got.err == nil {
						t.Errorf("the server takes %q for complete", got.Body)
					}
				}
			})
		}
	}
}

func TestFileThatChangesDuringAnAttempt(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   string
		want string
		err  error
	}{
		{"appended to: not sent", "0123456789+", "0123456789", nil},
		{"shortened: not complete", "0123", "0123", io.ErrUnexpectedEOF},
	} {
		for _, as := range []string{"BodyFile", "BodyReader"} {
			t.Run(tt.name+", "+as, func(t *testing.T) {
				path := file(t, "x.txt", "0123456789")
				option := ply.BodyFile(path)
				if as == "BodyReader" {
					option = ply.BodyReader(open(t, path, 0))
				}
				req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", option, ply.Chunked())
				require.NoError(t, err)
				defer req.Body.Close()
				require.NoError(t, os.WriteFile(path, []byte(tt.to), 0o600))
				got, err := io.ReadAll(req.Body)
				if string(got) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("read %q, %v", got, err)
				}
			})
		}
	}
}

func TestFilesAreClosed(t *testing.T) {
	path := file(t, "x.txt", "0123456789")
	f := open(t, path, 0)
	server := receive(t)
	for _, opt := range []ply.RequestOption{
		ply.BodyFile(path), ply.BodyReader(f),
		ply.BodyMultipart(ply.PartFile("a", path), ply.PartFile("b", path)),
	} {
		server.post(t, "/again", 200, opt)
	}
	if !isClosed(f) {
		t.Error("the file given to BodyReader is open")
	}
	if n := descriptors(path); n != 0 {
		t.Errorf("%d descriptors are open", n)
	}
}

// descriptors counts those of this process that are open for the file; none where the system does not tell.
func descriptors(path string) (n int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == path {
			n++
		}
	}
	return n
}

func TestBodyOptionsCanBeUsedAgain(t *testing.T) {
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

// The server answers before it reads: the body stays here.
func TestExpectContinue(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	body := &stream{Reader: strings.NewReader("abc")}
	resp, err := newClient(t, ply.Options{Transport: &http.Transport{ExpectContinueTimeout: 1 << 40}}).
		Post(t.Context(), server.URL, ply.BodyReader(body), ply.ExpectContinue())
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || body.reads.Load() != 0 {
		t.Errorf("status %d, %d reads", resp.StatusCode, body.reads.Load())
	}
}

func TestUploadProgress(t *testing.T) {
	const size = 100_000
	long := strings.Repeat("x", size)
	unknown := func() ply.RequestOption { return ply.BodyReader(iotest.HalfReader(strings.NewReader(long))) }
	for _, tt := range []struct {
		name  string
		opts  []ply.RequestOption
		path  string
		total int64
		ends  []int64 // where the counts of the attempts end; nil: at what the server got
	}{
		{"known length", []ply.RequestOption{ply.BodyString(long)}, "/", size, []int64{size}},
		{"chunked, known all the same", []ply.RequestOption{ply.BodyString(long), ply.Chunked()}, "/", size, []int64{size}},
		{"unknown length", []ply.RequestOption{unknown()}, "/", -1, []int64{size}},
		{"from 0 when sent again", []ply.RequestOption{ply.BodyString(long)}, "/again", size, []int64{size, size}},
		{"compressed bytes", []ply.RequestOption{ply.BodyString(long), ply.CompressBody("gzip")}, "/", -1, nil},
		{"empty", []ply.RequestOption{ply.BodyString("")}, "/", 0, []int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := receive(t)
			var last int64
			ends := []int64{}
			note := func() {
				if last > 0 {
					ends = append(ends, last)
				}
			}
			server.post(t, tt.path, 200, append(tt.opts, ply.UploadProgress(func(sent, total int64) {
				if total != tt.total {
					t.Errorf("total %d, want %d", total, tt.total)
				}
				if sent <= last {
					note()
				}
				last = sent
			}))...)
			note()
			if tt.ends == nil {
				tt.ends = []int64{int64(len(server.all()[0].raw))}
			}
			if diff := cmp.Diff(tt.ends, ends); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// zeros gives n zero bytes and holds none of them.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLargeBodiesAreNotHeldInMemory(t *testing.T) {
	const size, bound = 64 << 20, 8 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", err)
	}))
	defer server.Close()
	path := file(t, "large.bin", "")
	require.NoError(t, os.Truncate(path, size))
	client := newClient(t, ply.Options{})
	for name, opts := range map[string][]ply.RequestOption{
		"reader":    {ply.BodyReader(zeros(size))},
		"open file": {ply.BodyReader(open(t, path, 0))},
		"file":      {ply.BodyFile(path), ply.UploadProgress(func(_, _ int64) {})},
		"multipart": {ply.BodyMultipart(
			ply.PartFile("a", path),
			ply.PartFunc("b", "", size, func() (io.ReadCloser, error) { return io.NopCloser(zeros(size)), nil }))},
		"gzip": {ply.BodyReader(zeros(size / 4)), ply.CompressBody("gzip")},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := client.Post(t.Context(), server.URL, opts...)
			require.NoError(t, err)
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			runtime.ReadMemStats(&after)
			if err != nil || !strings.HasSuffix(string(answer), "<nil>") {
				t.Errorf("server read %q, %v", answer, err)
			}
			// All that was ever allocated bounds what was held at any time.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > bound {
				t.Errorf("%d bytes allocated to send %d", grown, size)
			}
		})
	}
}

// HTTP/2 closes a body while it is being read. Under the race detector this shows what Close touches.
func TestCloseWhileReading(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newClient(t, ply.Options{Transport: server.Client().Transport})
	for _, tt := range []struct {
		name string
		opts func(io.Reader) []ply.RequestOption
	}{
		{"reader", func(r io.Reader) []ply.RequestOption { return []ply.RequestOption{ply.BodyReader(r)} }},
		{"gzip", func(r io.Reader) []ply.RequestOption {
			return []ply.RequestOption{ply.BodyReader(r), ply.CompressBody("gzip")}
		}},
		{"multipart", func(r io.Reader) []ply.RequestOption {
			return []ply.RequestOption{ply.BodyMultipart(ply.PartField("a", "1"), ply.PartReader("r", "", r))}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, out := io.Pipe()
			body := &unblocked{PipeReader: in, closed: make(chan struct{})}
			go func() {
				// Random enough not to vanish in compression; the pipe blocks once the transport has stopped.
				for i := uint32(1); ; i = i*1664525 + 1013904223 {
					if _, err := fmt.Fprintf(out, "%08x", i); err != nil {
						return
					}
				}
			}()
			resp, err := client.Post(t.Context(), server.URL, tt.opts(body)...)
			if err == nil {
				resp.Body.Close()
				t.Error("no error")
			}
			<-body.closed
			if n := body.closes.Load(); n != 1 {
				t.Errorf("closed %d times", n)
			}
		})
	}
}

// unblocked is a pipe that tells when it is closed.
type unblocked struct {
	*io.PipeReader
	closes atomic.Int32
	closed chan struct{}
}

func (u *unblocked) Close() error {
	if u.closes.Add(1) == 1 {
		close(u.closed)
	}
	return u.PipeReader.Close()
}

func inflated(encoding string, r io.Reader) ([]byte, error) {
	var plain io.Reader
	var err error
	if encoding == "gzip" {
		plain, err = gzip.NewReader(r)
	} else {
		plain, err = zlib.NewReader(r)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

type nilFunc func([]byte) (int, error)

func (f nilFunc) Read(p []byte) (int, error) { return f(p) }

type nilMap map[string]string

func (m nilMap) Read([]byte) (int, error) { m["x"] = "y"; return 0, io.EOF }

func TestATypedNilIsAnEmptyBody(t *testing.T) {
	for _, r := range []io.Reader{
		nil, (*bytes.Buffer)(nil), (*bytes.Reader)(nil), (*strings.Reader)(nil), (*os.File)(nil), (*closeCounter)(nil), (*io.SectionReader)(nil),
		nilFunc(nil), nilMap(nil), http.NoBody,
	} {
		transport := &recorder{}
		c := newClient(t, ply.Options{Transport: transport})
		if err := ply.Discard(c.Post(t.Context(), "http://a.test/", ply.BodyReader(r))); err != nil || transport.last().Body != "" {
			t.Errorf("%T: %v, sent %q", r, err, transport.last().Body)
		}
		if err := ply.Discard(c.Post(t.Context(), "http://a.test/", ply.BodyMultipart(ply.PartReader("f", "f", r)))); err != nil || !strings.Contains(transport.last().Body, "\r\n\r\n\r\n--") {
			t.Errorf("part of %T: %v, sent %q", r, err, transport.last().Body)
		}
	}
	for _, size := range []int64{-1, 0} {
		transport := &recorder{}
		part := ply.PartFunc("f", "f", size, func() (io.ReadCloser, error) { return (*os.File)(nil), nil })
		if err := ply.Discard(newClient(t, ply.Options{Transport: transport}).Post(t.Context(), "http://a.test/", ply.BodyMultipart(part))); err != nil {
			t.Errorf("PartFunc of %d bytes: %v", size, err)
		}
	}
}
