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
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/expiry", out.String())
}

func TestOwnURLs(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{server.URL + "/rates"}))
	require.Regexp(t, `/rates +200  fresh for 10m0s\n`, out.String())
}
