package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/inspect.md shows the output as it is.
func TestOutputIsThatOfTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/inspect.md")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, "127.0.0.1:0", true, nil))
	for text := range strings.SplitSeq(out.String(), "\n\n") {
		require.Contains(t, string(guide), strings.TrimSpace(text))
	}
	require.Contains(t, out.String(), "/down                    0  error       requests: 3\n")
}

func TestProgramEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, writer, "127.0.0.1:0", false, nil) }()
	line := make([]byte, 200)
	n, err := reader.Read(line)
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "http://127.0.0.1:")
	cancel()
	require.NoError(t, <-ended)
}

func TestOwnURLs(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, "127.0.0.1:0", true, []string{server.URL + "/mine"}))
	require.Regexp(t, `^GET  /mine +404  miss +requests: 1`, out.String())
}
