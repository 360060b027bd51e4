package tape_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

// odd is a server whose responses differ in how they are sent.
func odd(w http.ResponseWriter, r *http.Request) {
	raw := func(text string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n"))
			conn.Close()
		}
	}
	switch r.URL.Path {
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, "twice twice twice")
		z.Close()
	case "/trailers":
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "a")
		http.NewResponseController(w).Flush()
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Late", "8")
	case "/empty-with-trailers":
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Sum", "7")
	case "/short":
		raw("HTTP/1.1 200 Own Words\nContent-Length: 10\n\nabc")
	case "/long":
		raw("HTTP/1.1 200 OK\nContent-Length: 2\nConnection: close\n\nabc")
	case "/cut-chunk":
		raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nab")
	case "/until-close":
		raw("HTTP/1.0 200 OK\nX-Latin: caf\xe9\nX-Two: 1\nX-Two: 2\nX-Empty:\n\nab")
	case "/nothing":
		raw("")
	case "/no-http":
		raw("SSH-2.0\n\n")
	case "/empty":
	default:
		http.ServeContent(w, r, "a.txt", time.Unix(0, 0), strings.NewReader("0123456789"))
	}
}

// TestResponsesOfARealServerAreReplayedAsTheyCame compares all that a caller of net/http sees. A replay has the errors without what they quote of a response, as [redact.Error] shows them.
func TestResponsesOfARealServerAreReplayedAsTheyCame(t *testing.T) {
	mine(t)
	server := httptest.NewServer(http.HandlerFunc(odd))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "a.tape")
	requests := []struct {
		method, path string
		header       http.Header
	}{
		{"GET", "/gzip", nil}, {"GET", "/gzip", http.Header{"Accept-Encoding": {"gzip"}}}, {"HEAD", "/gzip", nil}, {"GET", "/trailers", nil}, {"GET", "/empty-with-trailers", nil},
		{"GET", "/short", nil}, {"GET", "/long", nil}, {"GET", "/cut-chunk", nil}, {"GET", "/until-close", nil}, {"GET", "/nothing", nil}, {"GET", "/no-http", nil}, {"GET", "/empty", nil},
		{"GET", "/", nil}, {"HEAD", "/", nil}, {"GET", "/", http.Header{"Range": {"bytes=2-3"}}}, {"GET", "/", http.Header{"Range": {"bytes=99-"}}}, {"GET", "/", http.Header{"Range": {"bytes=0-1,4-5"}}},
		{"GET", "/", http.Header{"If-Modified-Since": {"Thu, 01 Jan 1970 00:00:00 GMT"}}},
	}
	var seen [2][]string
	for i := range seen {
		require.Empty(t, run(path, tape.Options{NoWait: true}, func(_ *test, s *tape.Session) {
			next, shown := http.RoundTripper(server.Client().Transport), redact.Error
			if i == 1 {
				next, shown = noServer(t), func(err error) error { return err }
			}
			rt := s.Middleware(next)
			for _, c := range requests {
				r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
				require.NoError(t, err)
				r.Header = c.header.Clone()
				if r.Header == nil {
					r.Header = http.Header{}
				}
				resp, err := rt.RoundTrip(r)
				if err != nil {
					seen[i] = append(seen[i], fmt.Sprintf("%v: %s", c, class(shown(err))))
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				seen[i] = append(seen[i], fmt.Sprintf("%v: %q %s %v %d %v %q %s %v", c, resp.Status, resp.Proto, resp.Header, resp.ContentLength, resp.Uncompressed, body, class(shown(err)), resp.Trailer))
			}
		}))
	}
	for i := range requests {
		if seen[0][i] != seen[1][i] {
			t.Errorf("recorded: %s\nreplayed: %s", seen[0][i], seen[1][i])
		}
	}
}
