package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/stretchr/testify/require"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, nil), &out)
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/offline", out.String())
}

func TestOwnURLs(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{server.URL + "/a", server.URL + "/b"}))
	_, offline, _ := strings.Cut(out.String(), "offline mode\n")
	require.Contains(t, offline, "/a  200, hit\n")
	require.NotContains(t, out.String(), "the server is gone")
}
