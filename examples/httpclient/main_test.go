package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/stretchr/testify/require"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, nil), &out)
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/httpclient", out.String())
}

func TestOwnURL(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{server.URL}))
	require.Contains(t, out.String(), "with the cache          404 Not Found  miss\n")
}
