package inspect_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// Over HTTP/2, all requests of a page share one connection: the stream of events leaves it to the others, and what is refused is refused there as well.
func TestInspectorOverHTTP2(t *testing.T) {
	c := newCache(t, cache.Options{})
	in := newInspector(t, inspect.Options{Cache: c})
	client := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Text("x", "Cache-Control", "max-age=100")), Use: []ply.Middleware{in.Middleware, c.Middleware}})
	server := httptest.NewUnstartedServer(in)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	browser := server.Client()
	request := func(ctx context.Context, method, target, content string, fields ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, server.URL+target, strings.NewReader(content))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
			if fields[i] == "Host" {
				r.Host = fields[i+1]
			}
		}
		resp, err := browser.Do(r)
		require.NoError(t, err)
		require.Equal(t, 2, resp.ProtoMajor)
		return resp
	}
	follow, leave := context.WithCancel(t.Context())
	events := request(follow, "GET", "/events", "")
	require.Equal(t, "text/event-stream", events.Header.Get("Content-Type"))
	lines := bufio.NewScanner(events.Body)
	until := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		require.Fail(t, "the stream ended before "+part)
	}
	until("event: hello")
	fetch(t, client, "http://a.test/1")
	until(`"url":"http://a.test/1"`)

	var all sync.WaitGroup
	for _, target := range []string{"/", "/app.js", "/calls", "/calls/1", "/stats", "/cache"} {
		all.Go(func() {
			resp := request(t.Context(), "GET", target, "")
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || len(text) == 0 {
				t.Errorf("%s: %s, %v", target, resp.Status, err)
			}
		})
	}
	all.Wait()
	for _, refused := range [][]string{{"Host", "evil.test"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}, {"X-Forwarded-For", "10.0.0.1"}} {
		resp := request(t.Context(), "POST", "/cache/purge", `{"all":true}`, refused...)
		resp.Body.Close()
		require.Equal(t, http.StatusForbidden, resp.StatusCode, refused)
	}
	purged := request(t.Context(), "POST", "/cache/purge", `{"all":true}`)
	purged.Body.Close()
	require.Equal(t, http.StatusOK, purged.StatusCode)
	fetch(t, client, "http://a.test/2")
	until(`"url":"http://a.test/2"`)

	again := request(t.Context(), "GET", "/events", "")
	require.NoError(t, in.Close()) // ends both streams, and leaves the connection
	rest, err := io.ReadAll(again.Body)
	require.NoError(t, err)
	require.Contains(t, string(rest), "event: hello")
	for lines.Scan() {
		continue
	}
	require.NoError(t, lines.Err())
	leave()
	resp := request(t.Context(), "GET", "/", "")
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
