package logging_test

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// A real server and transport: nothing in them may keep the response alive, nor anything in the layer.
func TestUnclosedBodyIsLogged(t *testing.T) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	out := &lines{some: make(chan struct{}, 1)}
	logger := slog.New(slog.NewTextHandler(out, without("time", "duration", "ttfb", "call.id", "url.full", "server.address", "server.port")))
	h := logging.New(logging.Options{Logger: logger, BodyBytes: 10, Headers: true, Sample: logging.Sample{Every: 1000}})(retry.New(retry.Options{})(transport))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, testutil.UnfinishedServer(t), nil)
	require.NoError(t, err)
	testutil.Abandon(t, h, req)
	deadline := time.After(time.Minute)
	for said := false; !said; {
		runtime.GC()
		select {
		case <-out.some:
			said = true
		case <-deadline:
			t.Fatal("nothing is said of the body")
		default:
		}
	}
	want := `level=WARN msg="http call" http.request.method=GET http.response.status_code=200 network.protocol.version=1.1 http.response.body.size=2 never_closed=true`
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}

func TestClosedBodyIsNotLoggedAsUnclosed(t *testing.T) {
	out := &lines{}
	h := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(out, nil))})(plytest.NewOrigin(plytest.Text("hello")))
	for range 10 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
	}
	for range 3 {
		runtime.GC()
	}
	if got := out.String(); strings.Count(got, "\n") != 10 || strings.Contains(got, "never_closed") {
		t.Errorf("got %s", got)
	}
}
