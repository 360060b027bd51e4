package ply_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// parsedPart is a part as mime/multipart reads it. The file name is the one sent, path and all.
type parsedPart struct{ Name, Filename, Type, Body string }

func parsed(t testing.TB, contentType string, body []byte) []parsedPart {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	require.NoError(t, err)
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var got []parsedPart
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return got
		}
		require.NoError(t, err)
		if len(p.Header) > 2 {
			t.Errorf("forged header: %q", p.Header)
		}
		_, disposition, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		require.NoError(t, err)
		content, err := io.ReadAll(p)
		require.NoError(t, err)
		got = append(got, parsedPart{disposition["name"], disposition["filename"], p.Header.Get("Content-Type"), string(content)})
	}
}

func TestMultipartAsTheServerParsesIt(t *testing.T) {
	path := file(t, "photo.png", "PNG")
	typed := ply.PartBytes("typed", "", []byte("{}"))
	typed.ContentType = "application/json"
	parts := []ply.Part{
		ply.PartField("a", "1"), ply.PartField("a", "2"), ply.PartField("empty", ""),
		ply.PartField("lines", "x\r\n--y\r\n\r\nz"),
		ply.PartFile("photo", path),
		ply.PartBytes("b", "b.bin", []byte{0, 1}),
		typed,
		ply.PartFunc("o", "o.bin", 3, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil }),
	}
	want := []parsedPart{
		{"a", "", "", "1"},
		{"a", "", "", "2"},
		{"empty", "", "", ""},
		{"lines", "", "", "x\r\n--y\r\n\r\nz"},
		{"photo", "photo.png", "image/png", "PNG"},
		{"b", "b.bin", "application/octet-stream", "\x00\x01"},
		{"typed", "", "application/json", "{}"},
		{"o", "o.bin", "application/octet-stream", "abc"},
	}
	stream := func() ply.Part { return ply.PartReader("r", "r.bin", iotest.OneByteReader(strings.NewReader("xyz"))) }
	endless := ply.PartFunc("u", "", -1, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("unknown")), nil })
	for _, tt := range []struct {
		name  string
		parts []ply.Part
		want  []parsedPart
		known bool
	}{
		{"none", nil, nil, true},
		{"all lengths known", parts, want, true},
		{"one read once", append(parts[:1:1], stream(), parts[1]), append(want[:1:1], parsedPart{"r", "r.bin", "application/octet-stream", "xyz"}, want[1]), false},
		{"one of unknown length", append(parts[:1:1], endless), append(want[:1:1], parsedPart{"u", "", "application/octet-stream", "unknown"}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := receive(t)
			server.post(t, "/", 200, ply.BodyMultipart(tt.parts...))
			got := server.all()[0]
			require.NoError(t, got.err)
			if known := got.Length == int64(len(got.raw)); known != tt.known || got.Chunked == tt.known {
				t.Errorf("length %d of %d, chunked %t", got.Length, len(got.raw), got.Chunked)
			}
			if diff := cmp.Diff(tt.want, parsed(t, got.Type, got.raw)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMultipartInSmallReads(t *testing.T) {
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/",
		ply.BodyMultipart(ply.PartField("a", "1"), ply.PartFile("f", file(t, "f.txt", "file"))))
	require.NoError(t, err)
	if n, err := req.Body.Read(nil); n != 0 || err != nil {
		t.Errorf("an empty read gives %d, %v", n, err)
	}
	body, err := io.ReadAll(iotest.OneByteReader(req.Body))
	require.NoError(t, errors.Join(err, req.Body.Close(), req.Body.Close()))
	want := []parsedPart{{"a", "", "", "1"}, {"f", "f.txt", "text/plain; charset=utf-8", "file"}}
	if diff := cmp.Diff(want, parsed(t, req.Header.Get("Content-Type"), body)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := req.Body.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after Close: %v", err)
	}
}

func TestBoundariesDiffer(t *testing.T) {
	option := ply.BodyMultipart(ply.PartField("a", "1"))
	server := receive(t)
	server.post(t, "/", 200, option)
	server.post(t, "/", 200, option)
	if got := server.all(); got[0].Type == got[1].Type {
		t.Errorf("both have %q", got[0].Type)
	}
}

// delivered is a name as a server reads it: control characters are percent-encoded, so that they forge no header.
func delivered(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var hostileNames = []string{
	"plain", "with space", " padded ", "quo\"te", `back\slash`, `end\`, `\"`, `a\\"b`, "semi;colon", "a=b", "ünïcode", "名前", "\xff\xfe",
	"x\r\nX-Forged: 1", "x\r\n\r\nforged body", "\n", "\r", "\x00", "tab\there", "\x7f", `C:\dir\file.txt`, "../../etc/passwd", "%0D%0A", "%22", `"; filename="evil`,
	strings.Repeat("long", 500), "*", "name*=utf-8''x", "a,b", "<b>", "'",
}

func checkNames(t testing.TB, name, filename string) {
	body, contentType := form(t, ply.PartBytes(name, filename, []byte("content")), ply.PartField("after", "ok"))
	want := []parsedPart{
		{delivered(name), delivered(filename), "application/octet-stream", "content"},
		{"after", "", "", "ok"},
	}
	if diff := cmp.Diff(want, parsed(t, contentType, body)); diff != "" {
		t.Errorf("name %q, file name %q (-want +got)\n%s", name, filename, diff)
	}
}

func form(t testing.TB, parts ...ply.Part) (body []byte, contentType string) {
	t.Helper()
	client, err := ply.New(ply.Options{Transport: &recorder{}})
	require.NoError(t, err)
	req, err := client.NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyMultipart(parts...))
	require.NoError(t, err)
	body, err = io.ReadAll(req.Body)
	require.NoError(t, errors.Join(err, req.Body.Close()))
	return body, req.Header.Get("Content-Type")
}

func TestMultipartNamesCannotForgeHeaders(t *testing.T) {
	for _, name := range hostileNames {
		checkNames(t, name, "file.txt")
		checkNames(t, "name", name)
	}
}

func FuzzMultipartNames(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name, name)
	}
	f.Fuzz(func(t *testing.T, name, filename string) {
		if name != "" { // which is refused
			checkNames(t, name, filename)
		}
	})
}

func TestPartOfAnotherLengthFails(t *testing.T) {
	for _, size := range []int64{2, 4} {
		for _, opts := range [][]ply.RequestOption{nil, {ply.Chunked()}, {ply.CompressBody("gzip")}} {
			t.Run(fmt.Sprintf("3 bytes for %d, %d options", size, len(opts)), func(t *testing.T) {
				server := receive(t)
				_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/", append(opts, ply.BodyMultipart(
					ply.PartFunc("short", "", size, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil })))...)
				if err == nil || !strings.Contains(err.Error(), `part "short"`) || !strings.Contains(err.Error(), fmt.Sprintf("the %d", size)) {
					t.Errorf("error %v", err)
				}
				server.Close()
				for _, got := range server.all() {
					if got.err == nil {
						t.Errorf("the server takes %q for complete", got.raw)
					}
				}
			})
		}
	}
}

func TestPartsAreOpenedInTurnAndClosed(t *testing.T) {
	var opened, closed atomic.Int32
	part := func(name string) ply.Part {
		return ply.PartFunc(name, "", 3, func() (io.ReadCloser, error) {
			if opened.Add(1)-closed.Load() > 1 {
				t.Error("opened before its turn")
			}
			return &withProgress{Reader: strings.NewReader("abc"), closed: &closed}, nil
		})
	}
	server := receive(t)
	server.post(t, "/again", 200, ply.BodyMultipart(part("a"), part("b"), part("c")))
	if opened.Load() != 6 || closed.Load() != 6 {
		t.Errorf("%d opened, %d closed; want 6", opened.Load(), closed.Load())
	}

	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyMultipart(part("a"), part("b")))
	require.NoError(t, err)
	_, err = io.ReadFull(req.Body, make([]byte, 100)) // into the first part
	require.NoError(t, err)
	require.NoError(t, errors.Join(req.Body.Close(), req.Body.Close()))
	if opened.Load() != closed.Load() {
		t.Errorf("%d opened, %d closed", opened.Load(), closed.Load())
	}
}

type withProgress struct {
	io.Reader
	closed *atomic.Int32
}

func (c *withProgress) Close() error {
	c.closed.Add(1)
	return nil
}

// A part whose open returns after the body was closed must be closed at once, because no other code has it.
func TestCloseWhileAPartIsOpened(t *testing.T) {
	var closed atomic.Int32
	opening, proceed := make(chan struct{}), make(chan struct{})
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/",
		ply.BodyMultipart(ply.PartFunc("a", "", 3, func() (io.ReadCloser, error) {
			close(opening)
			<-proceed
			return &withProgress{Reader: strings.NewReader("abc"), closed: &closed}, nil
		})))
	require.NoError(t, err)
	result := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, req.Body)
		result <- err
	}()
	<-opening
	require.NoError(t, req.Body.Close())
	close(proceed)
	if err := <-result; !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("error %v", err)
	}
	if closed.Load() != 1 {
		t.Errorf("closed %d times", closed.Load())
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
