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
