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
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/scopes", out.String())
}

func TestOwnURL(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{server.URL}))
	require.Contains(t, out.String(), "another one                                 hit\n")
}

// A URL that is never stored cannot be had without the network, which is an answer like others.
func TestOwnURLThatIsNotStored(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "no-store") }))
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{server.URL}))
	require.Contains(t, out.String(), "ModeOnlyIfCached: do not use the network    refused")
}
