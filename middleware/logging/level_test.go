package logging_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestDefaultLevel(t *testing.T) {
	status := func(code int) logging.Outcome { return logging.Outcome{Response: &http.Response{StatusCode: code}} }
	for _, tt := range []struct {
		name          string
		o             logging.Outcome
		call, attempt slog.Level
	}{
		{"200", status(200), slog.LevelInfo, slog.LevelDebug},
		{"304", status(304), slog.LevelInfo, slog.LevelDebug},
		{"401", status(401), slog.LevelWarn, slog.LevelWarn},
		{"404", status(404), slog.LevelInfo, slog.LevelDebug},
		{"409", status(409), slog.LevelInfo, slog.LevelDebug},
		{"412", status(412), slog.LevelInfo, slog.LevelDebug},
		{"416", status(416), slog.LevelInfo, slog.LevelDebug},
		{"429", status(429), slog.LevelError, slog.LevelWarn},
		{"503", status(503), slog.LevelError, slog.LevelWarn},
		{"error", logging.Outcome{Err: io.EOF}, slog.LevelError, slog.LevelWarn},
		{"cancelled", logging.Outcome{Err: context.Canceled}, slog.LevelInfo, slog.LevelInfo},
		{"late", logging.Outcome{Err: context.DeadlineExceeded}, slog.LevelWarn, slog.LevelWarn},
	} {
		if got := logging.DefaultLevel(tt.o); got != tt.call {
			t.Errorf("call, %s: %s, want %s", tt.name, got, tt.call)
		}
		slow := tt.o
		slow.Slow = true
		if got := logging.DefaultLevel(slow); got != min(tt.call+4, slog.LevelError) {
			t.Errorf("slow call, %s: %s", tt.name, got)
		}
		tt.o.Attempt = 1
		if got := logging.DefaultLevel(tt.o); got != tt.attempt {
			t.Errorf("attempt, %s: %s, want %s", tt.name, got, tt.attempt)
		}
	}
}

func TestCancellationAndDeadlineAreNotLoggedAsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			ctx  func() (context.Context, context.CancelFunc)
			want string
		}{
			{func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, "level=INFO|error.type=canceled"},
			{func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Second) }, "level=WARN|error.type=timeout"},
		} {
			var j journal
			ctx, cancel := tt.ctx()
			h := logging.New(logging.Options{Logger: j.logger()})(plytest.NewOrigin(plytest.Stall()))
			h.RoundTrip(newRequest(t, ctx, "GET", ""))
			cancel()
			for _, part := range strings.Split(tt.want, "|") {
				if !strings.Contains(j.String(), part) {
					t.Errorf("no %s in %s", part, &j)
				}
			}
		}
	})
}

func TestLevelOption(t *testing.T) {
	var j journal
	broken := errors.New("broken")
	h := logging.New(logging.Options{Logger: j.logger(), Level: func(o logging.Outcome) slog.Level {
		if errors.Is(o.Err, broken) && o.ErrorType() == "other" {
			return slog.LevelDebug
		}
		return slog.LevelError
	}})(plytest.NewOrigin(plytest.Fail(broken)))
	h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if !strings.HasPrefix(j.String(), "level=DEBUG") {
		t.Errorf("log %q", &j)
	}
}
