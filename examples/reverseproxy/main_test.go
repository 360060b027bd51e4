package main

import (
	"bufio"
	"bytes"
	"context"
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
