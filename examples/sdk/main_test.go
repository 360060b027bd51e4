package main

import (
	"bytes"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/stretchr/testify/require"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out), &out)
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/sdk", out.String())
}
