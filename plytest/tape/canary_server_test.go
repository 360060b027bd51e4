package tape_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
)

// loose is a server that says secrets in each way that net/http reads: redirects, interim responses, trailers, streams, status lines, and what is no HTTP.
func loose(w http.ResponseWriter, r *http.Request) {
	raw := func(format string, args ...any) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, format, args...)
	}
	switch r.URL.Path {
	case "/login":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "c4n4ry-realcookie", Path: "/"})
		http.Redirect(w, r, "/callback?code=c4n4ry-realcode&state=1&session_token=c4n4ry-realquery#access_token=c4n4ry-realfragment", http.StatusFound)
	case "/early":
		w.Header().Set("Link", "</style.css?token=c4n4ry-realearly>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "hinted")
	case "/stream":
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Auth-Token")
		for _, piece := range []string{"data: {\"tok", "en\":\"c4n4ry-re", "alevent\"}\n\n", "data: https://h.example/?token=c4n4ry-realeventurl\n\n"} {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Auth-Token", "c4n4ry-realtrailer")
	case "/reason":
		raw("HTTP/1.1 200 Fine token=c4n4ry-realreason\r\nContent-Length: 2\r\n\r\nok")
	case "/no-http":
		raw("c4n4ry-realgarbage is no HTTP\r\n\r\n")
	case "/bad-field":
		raw("HTTP/1.1 200 OK\r\nX-Key c4n4ry-realfield\r\n\r\n")
	case "/bad-location":
		raw("HTTP/1.1 302 Found\r\nLocation: http://[c4n4ry-reallocation\r\nContent-Length: 0\r\n\r\n")
	case "/bad-trailer":
		raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nc4n4ry-realbadtrailer\r\n\r\n")
	case "/cut":
		raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"token\":\"c4n4ry-realcut")
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"path":%q,"headers":{"Authorization":%q,"Cookie":%q},"url":%q}`, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Cookie"), "http://h.example"+r.URL.String())
	}
}

// sendTo asks for all that a server with secrets has, through net/http's client with its redirects and its jar.
func sendTo(t *testing.T, h http.RoundTripper, base string) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Transport: h, Jar: jar}
	for _, path := range []string{"/login", "/early", "/stream", "/reason", "/no-http", "/bad-field", "/bad-location", "/bad-trailer", "/cut", "/echo?api_key=c4n4ry-realkey"} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+path, strings.NewReader(`{"callback":"https://h.example/?token=c4n4ry-realcallback"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer c4n4ry-realbearer")
		resp, err := client.Do(r)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
	}
}

func TestNoSecretOfARealServerReachesATapeOrAnArchive(t *testing.T) {
	mine(t)
	server := httptest.NewServer(http.HandlerFunc(loose))
	t.Cleanup(server.Close)
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())
	path := filepath.Join(t.TempDir(), "a.tape")
	for i := range 2 {
		require.Empty(t, run(path, tape.Options{NoWait: true}, func(_ *test, s *tape.Session) {
			next := server.Client().Transport
			if i == 1 {
				next = noServer(t)
			}
			sendTo(t, s.Middleware(next), server.URL)
			sendTo(t, s.Middleware(next), "http://u:c4n4ry-realuser@"+refused.Addr().String())
		}))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, planted.FindAllString(string(text), -1), "the tape")
	recorded, err := tape.Load(path)
	require.NoError(t, err)
	require.Len(t, recorded.Exchanges, 21, "ten requests twice, and a redirect")
	for _, o := range []har.Options{{}, {KeepSecrets: true}} {
		require.Empty(t, planted.FindAllString(string(archived(t, recorded, o)), -1), "an archive")
	}
}
