package logging_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type closeCounter struct {
	io.Reader
	n int
}

func (c *closeCounter) Close() error { c.n++; return nil }

// limited bounds a context: a negative limit cancels it.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case limit > 0:
		return context.WithTimeout(ctx, limit)
	case limit < 0:
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(-limit, cancel)
		return ctx, cancel
	}
	return ctx, func() {}
}

// lines collects records that come from any goroutine.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
	some chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// journal collects records as text, without their times and ids.
type journal struct{ bytes.Buffer }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "call.id" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func newRequest(t *testing.T, ctx context.Context, method, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://user:pass@example.com:8080/path?token=hush", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// keep reduces a line of slog.TextHandler to some keys.
func keep(line string, keys ...string) string {
	var kept []string
	for _, field := range strings.SplitAfter(strings.TrimSpace(line)+" ", " ") {
		key, _, _ := strings.Cut(field, "=")
		switch {
		case slices.Contains(keys, key):
			kept = append(kept, field)
		case !strings.Contains(field, "=") && len(kept) > 0 && strings.HasPrefix(kept[len(kept)-1], "msg="):
			kept[len(kept)-1] += field
		}
	}
	return strings.TrimSpace(strings.Join(kept, ""))
}
