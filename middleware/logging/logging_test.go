package logging_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestResponseBesideAnErrorIsClosed(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	var j journal
	next := testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body}, io.ErrUnexpectedEOF
	})
	resp, err := logging.New(logging.Options{Logger: j.logger()})(next).RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if resp != nil || err == nil || body.n != 1 || strings.Count(j.String(), "\n") != 1 {
		t.Errorf("%v, %v, closed %d times, log %s", resp, err, body.n, &j)
	}
}

// A handler may keep and change what it is given; the record of the attempt and that of the call share nothing.
func TestHandlerMayChangeARecord(t *testing.T) {
	var b bytes.Buffer
	spoil := &spoiling{slog.NewTextHandler(&b, without("time", "duration", "ttfb", "call.id"))}
	l := logging.New(logging.Options{Logger: slog.New(spoil), Headers: true})
	h := l(l(plytest.NewOrigin(plytest.Text("hello", "Vary", "a"))))
	req := newRequest(t, t.Context(), "GET", "")
	req.Header.Set("Accept", "text/plain")
	resp, err := h.RoundTrip(req)
	require.NoError(t, err)
	header := resp.Header.Clone()
	testutil.ReadAll(resp.Body)
	if diff := cmp.Diff(header, resp.Header); diff != "" || req.Header.Get("Accept") != "text/plain" || strings.Contains(b.String(), "spoiled") {
		t.Errorf("%s%s", diff, &b)
	}
}

type spoiling struct{ slog.Handler }

func (s *spoiling) Handle(ctx context.Context, r slog.Record) error {
	err := s.Handler.Handle(ctx, r)
	r.Attrs(func(a slog.Attr) bool {
		if values, ok := a.Value.Any().([]string); ok {
			values[0] = "spoiled"
		}
		return true
	})
	return err
}

func TestDisabledLoggerAllocatesNothing(t *testing.T) {
	off := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	resp := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}
	before := resp.Body
	h := logging.New(logging.Options{Logger: off})(testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { return resp, nil }))
	req := newRequest(t, t.Context(), "POST", "abc")
	if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if resp.Body != before {
		t.Error("the body is watched")
	}
}

func TestAtHeadersDoesNotWaitForTheBody(t *testing.T) {
	var j journal
	h := logging.New(logging.Options{Logger: j.logger(), AtHeaders: true})(plytest.NewOrigin(plytest.Text("hello")))
	resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", ""))
	if err != nil || strings.Count(j.String(), "\n") != 1 {
		t.Errorf("error %v, log %q", err, &j)
	}
	testutil.ReadAll(resp.Body)
	if strings.Count(j.String(), "\n") != 1 {
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
