package logging_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

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

func TestOneRecordForEachOutcome(t *testing.T) {
	const target = `url.full="http://REDACTED:REDACTED@example.com:8080/path?token=REDACTED" server.address=example.com server.port=8080`
	tests := []struct {
		name   string
		reply  plytest.Reply
		method string
		read   func(io.ReadCloser)
		want   string
	}{
		{
			"success", plytest.Reply{Body: "hello", Wait: time.Second}, "GET", readAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=1s ttfb=1s http.response.body.size=5`,
		},
		{
			"request body", plytest.Text("hello"), "POST", readAll,
			`level=INFO msg="http call" http.request.method=POST ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.request.body.size=3 http.response.body.size=5`,
		},
		{
			"unknown method", plytest.Text("hello"), "BREW", readAll,
			`level=INFO msg="http call" http.request.method_original=BREW http.request.method=_OTHER ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.request.body.size=3 http.response.body.size=5`,
		},
		{
			"closed early", plytest.Text("hello"), "GET", func(b io.ReadCloser) { b.Read(make([]byte, 2)); b.Close() },
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=2 closed_early=true`,
		},
		{
			"read whole but not to its end", plytest.Text("hello"), "GET", func(b io.ReadCloser) { io.ReadFull(b, make([]byte, 5)); b.Close() },
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5`,
		},
		{
			"not found", plytest.Status(404), "GET", readAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=404 network.protocol.version=1.1 error.type=404 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"forbidden", plytest.Status(403), "GET", readAll,
			`level=WARN msg="http call" http.request.method=GET ` + target + ` http.response.status_code=403 network.protocol.version=1.1 error.type=403 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"too many", plytest.Status(429), "GET", readAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=429 network.protocol.version=1.1 error.type=429 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"server error", plytest.Status(500), "GET", readAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=500 network.protocol.version=1.1 error.type=500 duration=0s ttfb=0s http.response.body.size=0`,
		},
		{
			"refused", plytest.Refuse(), "GET", readAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` error.type=connection_refused error="dial tcp 192.0.2.1:8080: connect: connection refused" duration=0s ttfb=0s`,
		},
		{
			"broken body", plytest.Reply{Body: "hello", Fault: plytest.ResetAfter(3)}, "GET", readAll,
			`level=ERROR msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 error.type=connection_reset error="read tcp: read: connection reset by peer" duration=0s ttfb=0s http.response.body.size=3`,
		},
		{
			"slow", plytest.Reply{Body: "hello", Wait: time.Minute}, "GET", readAll,
			`level=WARN msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=1m0s ttfb=1m0s http.response.body.size=5 slow=true`,
		},
		{
			"cache", plytest.Text("hello", "Cache-Status", `cdn; hit, ply; fwd=stale; fwd-status=200; stored; detail="max-age=60; past"`), "GET", readAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5 cache.status=refreshed cache.reason="max-age=60; past"`,
		},
		{
			"another cache", plytest.Text("hello", "Cache-Status", `cdn; hit`), "GET", readAll,
			`level=INFO msg="http call" http.request.method=GET ` + target + ` http.response.status_code=200 network.protocol.version=1.1 duration=0s ttfb=0s http.response.body.size=5`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				h := logging.New(logging.Options{Logger: j.logger(), Slow: time.Minute})(plytest.NewOrigin(tt.reply))
				req := newRequest(t, t.Context(), tt.method, "abc")
				if tt.method == "GET" {
					req.Body, req.GetBody = nil, nil
				}
				if resp, err := h.RoundTrip(req); err == nil {
					tt.read(resp.Body)
				}
				if diff := cmp.Diff(tt.want+"\n", j.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}

func readAll(b io.ReadCloser) {
	io.Copy(io.Discard, b)
	b.Close()
}

func TestCancelAndDeadlineAreNoErrorsOfTheServer(t *testing.T) {
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

func TestPlacementDecidesBetweenCallAndAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		l := logging.New(logging.Options{Logger: j.logger()})
		origin := plytest.NewOrigin(plytest.Status(503), plytest.ResetConnection(), plytest.Text("hello"))
		h := l(retry.New(retry.Options{Backoff: retry.Constant(time.Second)})(l(origin)))
		resp, err := h.RoundTrip(newRequest(t, t.Context(), "PUT", "abc"))
		if err != nil {
			t.Fatal(err)
		}
		readAll(resp.Body)
		var got []string
		for line := range strings.Lines(j.String()) {
			got = append(got, keep(line, "level", "msg", "http.response.status_code", "error.type", "attempt", "http.request.resend_count"))
		}
		want := []string{
			`level=WARN msg="http attempt" http.response.status_code=503 error.type=503 attempt=1`,
			`level=WARN msg="http attempt" error.type=connection_reset http.request.resend_count=1 attempt=2`,
			`level=DEBUG msg="http attempt" http.response.status_code=200 http.request.resend_count=2 attempt=3`,
			`level=INFO msg="http call" http.response.status_code=200 http.request.resend_count=2`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
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

func TestGivingUpIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger()})(retry.New(retry.Options{})(plytest.NewOrigin(plytest.ResetConnection())))
		if _, err := h.RoundTrip(newRequest(t, t.Context(), "PUT", "abc")); err == nil {
			t.Fatal("no error")
		}
		for _, part := range []string{"level=ERROR", "retry.stop=attempts", "http.request.resend_count=2", "error.type=connection_reset"} {
			if !strings.Contains(j.String(), part) {
				t.Errorf("no %s in %s", part, &j)
			}
		}
		if strings.Contains(j.String(), "hush") || strings.Contains(j.String(), "pass@") {
			t.Errorf("a secret in %s", &j)
		}
	})
}

func TestDisabledCostsNothing(t *testing.T) {
	off := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	resp := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}
	before := resp.Body
	h := logging.New(logging.Options{Logger: off})(roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil }))
	req := newRequest(t, t.Context(), "POST", "abc")
	if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if resp.Body != before {
		t.Error("the body is watched")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestAtHeadersDoesNotWaitForTheBody(t *testing.T) {
	var j journal
	h := logging.New(logging.Options{Logger: j.logger(), AtHeaders: true})(plytest.NewOrigin(plytest.Text("hello")))
	resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if err != nil || strings.Count(j.String(), "\n") != 1 {
		t.Errorf("error %v, log %q", err, &j)
	}
	readAll(resp.Body)
	if strings.Count(j.String(), "\n") != 1 {
		t.Errorf("log %q", &j)
	}
}

func TestLevelIsTheUsersChoice(t *testing.T) {
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

func TestContract(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	plytest.CheckMiddleware(t, logging.New(logging.Options{Logger: logger}))
	t.Run("all options", func(t *testing.T) {
		plytest.CheckMiddleware(t, logging.New(logging.Options{
			Logger: logger, Headers: true, BodyBytes: 100, Connection: true, Slow: time.Second, Sample: logging.Sample{Every: 2, PerSecond: 1},
		}))
	})
	t.Run("at headers", func(t *testing.T) {
		plytest.CheckMiddleware(t, logging.New(logging.Options{Logger: logger, AtHeaders: true}))
	})
}
