package plyotel_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
)

// A real server and transport, all layers, and a context that never ends: nothing may keep the body from the garbage collector.
func TestUnclosedBodyEndsItsSpans(t *testing.T) {
	transport := &http.Transport{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newRecorded()
	telemetry := s.telemetry(t)
	h := telemetry.Call(newCache(t).Middleware(retry.New(retry.Options{})(telemetry.Attempt(transport))))
	testutil.Abandon(t, h, request(t, ctx, testutil.UnfinishedServer(t)))
	for deadline := time.Now().Add(time.Minute); len(s.spans.Ended()) < 2; {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("%d spans have ended, want 2", len(s.spans.Ended()))
		}
	}
	for _, got := range s.ended() {
		if !strings.Contains(got, "ply.body.never_closed=true") {
			t.Errorf("got %s", got)
		}
	}
}
