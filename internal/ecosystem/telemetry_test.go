package ecosystem

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// Below the cache, otelhttp makes a span for each exchange with the origin and none for a hit, and its traceparent, which
// differs each time, costs no hit. Above the cache it makes one for each request.
func TestOtelhttp(t *testing.T) {
	var traceparents []string
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		traceparents = append(traceparents, r.Header.Get("Traceparent"))
		fresh("hello")(w, r)
	})
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	defer provider.Shutdown(context.Background())
	traced := func(name string) ply.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}),
				otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return name }))
		}
	}
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{traced("above"), newCache(t, cache.Options{}).Middleware, traced("below")}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/")
		same(t, "body", textOf(t, resp, err), "hello")
	}
	origin.saw(t, 1)
	counts := map[string]int{}
	for _, s := range spans.GetSpans() {
		counts[s.Name]++
		if s.EndTime.IsZero() {
			t.Errorf("the span %s has no end", s.Name)
		}
	}
	same(t, "spans above the cache", counts["above"], 3)
	same(t, "spans below the cache", counts["below"], 1)
	if len(traceparents) != 1 || traceparents[0] == "" {
		t.Errorf("the origin got the trace context %q", traceparents)
	}
}

// promhttp's counters see what the place in the chain promises: exchanges with the origin below the cache, requests above it.
func TestPromhttp(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			return
		}
		fresh("hello")(w, r)
	})
	counting := func(name string) (*prometheus.CounterVec, prometheus.Gauge, ply.Middleware) {
		counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, []string{"code", "method"})
		flying := prometheus.NewGauge(prometheus.GaugeOpts{Name: name + "_in_flight"})
		return counter, flying, func(next http.RoundTripper) http.RoundTripper {
			return promhttp.InstrumentRoundTripperInFlight(flying, promhttp.InstrumentRoundTripperCounter(counter, next))
		}
	}
	above, aboveFlying, first := counting("above")
	below, belowFlying, last := counting("below")
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{first, newCache(t, cache.Options{}).Middleware, eager(2), last}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/")
		textOf(t, resp, err)
	}
	resp, err := client.Post(t.Context(), "/other", ply.BodyString("x"))
	textOf(t, resp, err)
	same(t, "requests", testutil.ToFloat64(above.WithLabelValues("200", "get")), 3)
	same(t, "exchanges", testutil.ToFloat64(below.WithLabelValues("200", "get")), 1)
	same(t, "POST above", testutil.ToFloat64(above.WithLabelValues("201", "post")), 1)
	same(t, "POST below", testutil.ToFloat64(below.WithLabelValues("201", "post")), 1)
	same(t, "in flight", testutil.ToFloat64(aboveFlying)+testutil.ToFloat64(belowFlying), 0)
	var names []string
	for _, l := range ply.Layers(client) {
		names = append(names, l.Name)
	}
	if !strings.Contains(strings.Join(names, " "), "promhttp.InstrumentRoundTripper") && !strings.Contains(strings.Join(names, " "), "TestPromhttp") {
		t.Errorf("Layers shows %q, which does not say where the instruments are", names)
	}
}
