package decode_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

// bare is deflate without the zlib format. A server names it "deflate" all the same.
const bare = "bare"

var allCodings = []string{decode.Brotli, decode.Zstd, decode.Gzip, decode.Deflate, bare}

// named is the name that a server gives to a coding.
func named(coding string) string {
	if coding == bare {
		return decode.Deflate
	}
	return coding
}

type flusher interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// encoder returns the reference encoder of a coding: that of the standard library where it has one.
func encoder(coding string, w io.Writer) flusher {
	switch coding {
	case decode.Brotli:
		return brotli.NewWriterLevel(w, 5)
	case decode.Zstd:
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10))
		if err != nil {
			panic(err)
		}
		return enc
	case decode.Gzip:
		zw, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // which takes less memory
		if err != nil {
			panic(err)
		}
		return zw
	case decode.Deflate:
		return zlib.NewWriter(w)
	case bare:
		fw, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			panic(err)
		}
		return fw
	}
	panic("unknown coding " + coding)
}

// encode applies codings in order.
func encode(content []byte, codings ...string) []byte {
	for _, coding := range codings {
		var b bytes.Buffer
		enc := encoder(coding, &b)
		enc.Write(content)
		if err := enc.Close(); err != nil {
			panic(err)
		}
		content = b.Bytes()
	}
	return content
}

// text is n bytes that compress as text does. Each seed has its own.
func text(seed, n int) []byte {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of body %d: the quick brown fox %x\n", i, seed, i*seed*2654435761)
	}
	return []byte(b.String()[:n])
}

// encoded is a reply with content in a coding.
func encoded(content []byte, coding string, header ...string) plytest.Reply {
	return plytest.Text(string(encode(content, coding)), append([]string{"Content-Encoding", named(coding)}, header...)...)
}

// raw is a reply with bytes that claim to be in a coding.
func raw(body []byte, coding string) plytest.Reply {
	return plytest.Text(string(body), "Content-Encoding", named(coding))
}

func layer(o decode.Options, next http.RoundTripper) http.RoundTripper { return decode.New(o)(next) }

func get(t testing.TB, h http.RoundTripper, header ...string) *http.Response {
	t.Helper()
	resp, err := h.RoundTrip(request(t, http.MethodGet, header...))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func request(t testing.TB, method string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://example.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// readAll reads and closes the body.
func readAll(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// decoded is what the layer makes of bytes that claim to be in a coding.
func decoded(t testing.TB, o decode.Options, body []byte, coding string) ([]byte, error) {
	t.Helper()
	return readAll(get(t, layer(o, plytest.NewOrigin(raw(body, coding)))))
}

// fixed answers with a body that claims to be in a coding.
type fixed struct {
	body    io.ReadCloser
	coding  string
	trailer http.Header
}

func (f *fixed) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Encoding": {named(f.coding)}}, Trailer: f.trailer, Body: f.body, ContentLength: -1, Request: req,
	}, nil
}

// chunked has bodies come without a length, even empty ones.
type chunked struct{ next http.RoundTripper }

func (c chunked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		resp.ContentLength = -1
		resp.Body = struct{ io.ReadCloser }{resp.Body}
	}
	return resp, err
}

func getFrom(t testing.TB, h http.RoundTripper, url string, header ...string) *http.Response {
	t.Helper()
	req := request(t, http.MethodGet, header...)
	var err error
	if req.URL, err = req.URL.Parse(url); err != nil {
		t.Fatal(err)
	}
	req.Host = ""
	resp, err := h.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answering answers each request with a body without a length.
func answering(header http.Header, body []byte) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: header.Clone(), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1, Request: req}, nil
	})
}
