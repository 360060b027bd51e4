package logging_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
)

func BenchmarkRecord(b *testing.B) {
	next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader("hello")), Request: r}, nil
	})
	for name, level := range map[string]slog.Level{"off": slog.LevelError + 1, "on": slog.LevelInfo} {
		b.Run(name, func(b *testing.B) {
			h := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level}))})(next)
			req, err := http.NewRequest(http.MethodGet, "http://example.com/path?token=hush", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := h.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

func TestARecordAllocatesLittle(t *testing.T) {
	next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader("hello")), Request: r}, nil
	})
	req, err := http.NewRequest(http.MethodGet, "http://example.com/path?token=hush", nil)
	if err != nil {
		t.Fatal(err)
	}
	allocations := func(h http.RoundTripper) float64 {
		return testing.AllocsPerRun(200, func() {
			resp, err := h.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	}
	logged := logging.New(logging.Options{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))})(next)
	want := 14.0
	if underRace {
		want = 16
	}
	if got := allocations(logged) - allocations(next); got > want {
		t.Errorf("%v allocations more than without a log, want %v at most", got, want)
	}
}
