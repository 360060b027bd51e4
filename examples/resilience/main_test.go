package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
)

// In a bubble of synctest the tour takes no time.
func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plytest.CheckGoroutines(t)
		s := new(server)
		var out bytes.Buffer
		if err := tour(t.Context(), &out, s, "http://api.test", plytest.NewHandlerOrigin(s)); err != nil {
			t.Fatal(err)
		}
		testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/resilience", out.String())
	})
}

func TestOwnURL(t *testing.T) {
	plytest.CheckGoroutines(t)
	listening := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer listening.Close()
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{listening.URL}); err != nil || !strings.HasPrefix(out.String(), "calls: 50 answered") {
		t.Errorf("%v\n%s", err, &out)
	}
}
