package retry_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestDroppedResponseIsDrainedWithinBoundsAndClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name     string
			reply    plytest.Reply
			wantRead bool
		}{
			{"small", plytest.Reply{Status: 503, Body: strings.Repeat("x", 8000)}, true},
			{"at the bound", plytest.Reply{Status: 503, Body: strings.Repeat("x", 64<<10)}, true},
			{"announced too large", plytest.Reply{Status: 503, Body: strings.Repeat("x", 64<<10+1)}, false},
			{"too large unannounced", plytest.Reply{Status: 503, Body: strings.Repeat("x", 1<<20), Chunked: true}, false},
			{"stalled", plytest.Reply{Status: 503, Body: "xx", Fault: plytest.StallAfter(1)}, false},
			{"empty", plytest.Reply{Status: 503}, true},
		} {
			origin := plytest.NewOrigin(tt.reply, plytest.Text("hello"))
			start := time.Now()
			resp, err := do(t, retry.Options{Backoff: retry.Constant(0)}, origin, newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if took := time.Since(start); took > 50*time.Millisecond {
				t.Errorf("%s: draining took %s", tt.name, took)
			}
			first := origin.Exchanges()[0]
			if first.BodyRead != tt.wantRead || !first.BodyClosed {
				t.Errorf("%s: read to its end %v, want %v; closed %v", tt.name, first.BodyRead, tt.wantRead, first.BodyClosed)
			}
		}
	})
}

func TestDroppedResponseAnnouncedTooLargeIsNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reads atomic.Int32
		for _, resp := range []http.Response{
			{StatusCode: 503, ProtoMajor: 1, ContentLength: 64<<10 + 1},
			{StatusCode: 503, ProtoMajor: 2, ContentLength: 1},
		} {
			resp.Body = &closes{Reader: readerFunc(func(p []byte) (int, error) { reads.Add(1); return 0, io.EOF })}
			next := testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { r := resp; return &r, nil })
			if _, err := do(t, retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0)}, next, newRequest(t, "GET")); err != nil {
				t.Fatal(err)
			}
		}
		if n := reads.Load(); n != 0 {
			t.Errorf("%d reads", n)
		}
	})
}

// A body may call what panics, such as the handler of a logger below. On a goroutine of this layer's own that would end the program.
func TestDroppedBodyThatPanicsPanicsForTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		content := &closes{Reader: readerFunc(func([]byte) (int, error) { panic("the hook") })}
		next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, ProtoMajor: 1, Body: content, Request: r}, nil
		})
		if p := recovered(func() { retry.New(retry.Options{})(next).RoundTrip(newRequest(t, "GET")) }); p != "the hook" || content.n != 1 {
			t.Errorf("recovered %v, closed %d times", p, content.n)
		}
	})
}
