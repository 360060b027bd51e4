package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if strings.Contains(out.String(), "not on this machine") {
		testutil.SkipUnlessCI(t, out.String())
	}
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/fleet", out.String())
}
