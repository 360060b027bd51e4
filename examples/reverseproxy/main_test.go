package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/stretchr/testify/require"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	require.NoError(t, tour(t.Context(), &out), &out)
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/reverseproxy", out.String())
}

func TestServesUntilItsContextIsDone(t *testing.T) {
	plytest.CheckGoroutines(t)
	upstream := httptest.NewServer(http.HandlerFunc(pages))
	defer upstream.Close()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, writer, "localhost:0", upstream.URL) }()
	line, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	at, _, _ := strings.Cut(line, " ")
	text, err := ply.Text(upstream.Client().Get(at + "/article"))
	require.NoError(t, err)
	require.Equal(t, "All HTTP is caching.\n", text)
	cancel()
	require.NoError(t, <-ended)
}

func TestUpstreamThatIsNoURL(t *testing.T) {
	_, err := newProxy("localhost:3000")
	require.ErrorContains(t, err, "is not the URL of a server")
}

// What is not part of the cache's key must not come from the client where the server puts it into its answer: the next one would get that.
func TestClientCannotChangeWhatTheNextOneGets(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Original-Url", "X-Host"} {
			fmt.Fprintln(w, r.Header.Get(name))
		}
	}))
	defer upstream.Close()
	p, err := newProxy(upstream.URL)
	require.NoError(t, err)
	defer p.Close()
	front := httptest.NewServer(p)
	defer front.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, nil)
	require.NoError(t, err)
	req.Host = "evil.example"
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Original-Url", "X-Host"} {
		req.Header.Set(name, "evil.example")
	}
	text, err := ply.Text(front.Client().Do(req))
	require.NoError(t, err)
	require.NotContains(t, text, "evil")
	text, err = ply.Text(front.Client().Get(front.URL))
	require.NoError(t, err)
	require.NotContains(t, text, "evil")
}

// A request that a handler around the proxy has given a deadline is not answered by an empty 200 when that is over.
func TestRequestWhoseTimeIsUpIsNoSuccess(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer upstream.Close()
	p, err := newProxy(upstream.URL)
	require.NoError(t, err)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	require.Equal(t, http.StatusBadGateway, w.Code)
}
