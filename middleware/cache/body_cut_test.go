package cache_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// wire answers one request per connection with the next of these texts, and closes.
func wire(t *testing.T, texts func(n int) string) http.RoundTripper {
	n := 0
	return &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		text := texts(n)
		n++
		go func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				io.WriteString(server, text)
			}
		}()
		return client, nil
	}}
}

// Whatever byte a response is cut at, the caller sees what it would see without a cache, and only a whole response is stored.
func TestBodyCutAtEachByteIsNotStored(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "hello, hello, hello")
	z.Close()
	const head = "Cache-Control: max-age=600\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for name, text := range map[string]string{
		"length":              "HTTP/1.1 200 OK\r\n" + head + "Content-Length: 5\r\n\r\nhello",
		"length, 1.0":         "HTTP/1.0 200 OK\r\n" + head + "Content-Length: 5\r\n\r\nhello",
		"chunked":             "HTTP/1.1 200 OK\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("hel") + chunk("lo") + "0\r\n\r\n",
		"chunked, trailers":   "HTTP/1.1 200 OK\r\n" + head + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("hello") + "0\r\nX-Sum: 1\r\n\r\n",
		"unannounced trailer": "HTTP/1.1 200 OK\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("hello") + "0\r\nX-Sum: 1\r\n\r\n",
		"close-delimited":     "HTTP/1.1 200 OK\r\n" + head + "\r\nhello",
		"close-delimited 1.0": "HTTP/1.0 200 OK\r\n" + head + "\r\nhello",
		"gzip, length":        "HTTP/1.1 200 OK\r\n" + head + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", zipped.Len()) + zipped.String(),
		"gzip, chunked":       "HTTP/1.1 200 OK\r\n" + head + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(zipped.String()) + "0\r\n\r\n",
		"gzip, close":         "HTTP/1.0 200 OK\r\n" + head + "Content-Encoding: gzip\r\n\r\n" + zipped.String(),
	} {
		t.Run(name, func(t *testing.T) {
			read := func(rt http.RoundTripper) string {
				r, _ := http.NewRequest("GET", "http://h/", nil)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					return "error"
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				return fmt.Sprint(resp.StatusCode, resp.ContentLength, resp.Uncompressed, string(body), err, resp.Trailer)
			}
			for cut := range len(text) + 1 {
				bare := read(wire(t, func(int) string { return text[:cut] }))
				c, err := cache.New(cache.Options{})
				require.NoError(t, err)
				rt := c.Middleware(wire(t, func(n int) string { return text[:cut] }))
				if got := read(rt); got != bare {
					t.Fatalf("cut at %d: %s, without the cache %s", cut, got, bare)
				}
				stored := c.Stats().Entries == 1
				whole := cut == len(text) && !strings.Contains(name, "close")
				if stored != whole && !(stored && strings.Contains(name, "chunked") && strings.Contains(bare, "<nil>")) {
					t.Errorf("cut at %d of %d: stored %v (%s)", cut, len(text), stored, bare)
				}
				if got := read(rt); stored && strings.Replace(got, "200 5", "200 -1", 1) != strings.Replace(bare, "200 5", "200 -1", 1) {
					t.Errorf("cut at %d: hit %s, want %s", cut, got, bare)
				}
				c.Close()
			}
		})
	}
}
