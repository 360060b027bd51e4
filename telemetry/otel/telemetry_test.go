package plyotel_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

func TestContract(t *testing.T) {
	for name, layer := range map[string]func(*plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper{
		"Call":    func(p *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper { return p.Call },
		"Attempt": func(p *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper { return p.Attempt },
		"both, at headers": func(p *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper {
			p = newRecorded().telemetry(t, func(o *plyotel.Options) { o.AtHeaders = true })
			return func(next http.RoundTripper) http.RoundTripper { return p.Call(p.Attempt(next)) }
		},
		"both": func(p *plyotel.Telemetry) func(http.RoundTripper) http.RoundTripper {
			return func(next http.RoundTripper) http.RoundTripper { return p.Call(p.Attempt(next)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper { return layer(newRecorded().telemetry(t))(next) })
		})
	}
}

// Without a provider there is nothing to pay, and a remote trace context goes through all the same.
func TestWithoutRecordingAllocatesNothing(t *testing.T) {
	for name, o := range map[string]plyotel.Options{
		"no global provider": {},
		"no-op providers":    {TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider(), Propagator: propagation.TraceContext{}},
	} {
		telemetry, err := plyotel.New(o)
		require.NoError(t, err)
		resp := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}
		body := resp.Body
		var got *http.Request
		h := telemetry.Call(telemetry.Attempt(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) { got = r; return resp, nil })))
		req := request(t, t.Context(), "http://a.test/")
		if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if got != req || resp.Body != body {
			t.Errorf("%s: something is watched", name)
		}
	}
	telemetry, err := plyotel.New(plyotel.Options{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider(), Propagator: propagation.TraceContext{}})
	require.NoError(t, err)
	var got *http.Request
	h := telemetry.Attempt(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		got = r
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	remote := apitrace.NewSpanContext(apitrace.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Remote: true})
	req := request(t, apitrace.ContextWithRemoteSpanContext(t.Context(), remote), "http://a.test/")
	require.NoError(t, errOf(h.RoundTrip(req)))
	if got.Header.Get("Traceparent") == "" || req.Header.Get("Traceparent") != "" {
		t.Errorf("sent %q, the caller's request has %q", got.Header, req.Header)
	}
}

// A provider that is set after the layers have been made is recorded.
func TestGlobalProviderSetLaterIsUsed(t *testing.T) {
	telemetry, err := plyotel.New(plyotel.Options{})
	require.NoError(t, err)
	h := telemetry.Attempt(plytest.NewOrigin(plytest.Text("x")))
	require.NoError(t, get(t, h, "http://a.test/"))

	before := otel.GetTracerProvider()
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	defer otel.SetTracerProvider(before)
	require.NoError(t, get(t, h, "http://a.test/"))
	if n := len(spans.Ended()); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
}

func TestInvalidOptionsAreErrors(t *testing.T) {
	if _, err := plyotel.New(plyotel.Options{MaxServers: -1}); err == nil || !strings.HasPrefix(err.Error(), "plyotel: ") {
		t.Errorf("error %v", err)
	}
}
