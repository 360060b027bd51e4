package logging_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
)

// handlerFunc is a slog.Handler that takes all records.
type handlerFunc func()

func (f handlerFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f handlerFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f handlerFunc) WithGroup(string) slog.Handler             { return f }

// openBody is a body that no reader has come to the end of.
func openBody() *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("hello"))}
}

// The record of a dropped body is written on a goroutine that no caller has: a logger that panics there must not end the program,
// and one that blocks must not hold up what else the garbage collector finds.
func TestLoggerThatPanicsOrBlocksForADroppedBody(t *testing.T) {
	called, release, records := make(chan int, 3), make(chan struct{}), 0
	defer close(release)
	h := logging.New(logging.Options{Logger: slog.New(handlerFunc(func() {
		records++
		called <- records
		switch records {
		case 1:
			panic("the handler")
		case 2:
			<-release
		}
	}))})(testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { return openBody(), nil }))
	for i := range 3 {
		testutil.Abandon(t, h, newRequest(t, t.Context(), "GET", ""))
		deadline := time.After(time.Minute)
		for said := false; !said; {
			runtime.GC()
			select {
			case n := <-called:
				said = n == i+1
			case <-deadline:
				t.Fatalf("nothing is said of body %d", i+1)
			default:
			}
		}
	}
}

// Where the record comes before the end of the body, no one else would close it.
func TestLoggerThatPanicsAtHeadersLeavesNoBodyOpen(t *testing.T) {
	content := &closeCounter{Reader: strings.NewReader("hello")}
	h := logging.New(logging.Options{AtHeaders: true, Logger: slog.New(handlerFunc(func() { panic("the handler") }))})(
		testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: content}, nil
		}))
	defer func() {
		if p := recover(); p != "the handler" || content.n != 1 {
			t.Errorf("recovered %v, closed %d times", p, content.n)
		}
	}()
	h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
}

// brittle is a slog.Handler that panics when it is asked whether it takes records.
type brittle struct{ handlerFunc }

func (brittle) Enabled(context.Context, slog.Level) bool { panic("the handler") }

// What is not sent has no one else who would close its body.
func TestLoggerThatPanicsBeforeTheRequestLeavesNoBodyOpen(t *testing.T) {
	content := &closeCounter{Reader: strings.NewReader("hello")}
	req := newRequest(t, t.Context(), "PUT", "")
	req.Body = content
	defer func() {
		if p := recover(); p != "the handler" || content.n != 1 {
			t.Errorf("recovered %v, closed %d times", p, content.n)
		}
	}()
	logging.New(logging.Options{Logger: slog.New(brittle{})})(testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("it is sent")
		return openBody(), nil
	})).RoundTrip(req)
}
