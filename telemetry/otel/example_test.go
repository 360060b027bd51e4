package plyotel_test

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

func ExampleNew() {
	spans := tracetest.NewSpanRecorder()
	telemetry, err := plyotel.New(plyotel.Options{TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans))})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := ply.New(ply.Options{
		UseCall:   []ply.Middleware{telemetry.Call},
		Use:       []ply.Middleware{retry.New(retry.Options{Backoff: retry.Constant(0)}), telemetry.Attempt},
		Transport: plytest.NewOrigin(plytest.Status(503), plytest.Text("Ann")),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := ply.Discard(client.Get(context.Background(), "https://example.com/users/{id}?key=hunter2", ply.PathValue("id", "7"))); err != nil {
		fmt.Println(err)
		return
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.SpanKind(), span.Name(), span.Status().Code)
		for _, a := range span.Attributes() {
			if a.Key == "url.full" || a.Key == "http.request.resend_count" || a.Key == "ply.retry.stop" {
				fmt.Println(" ", a.Key, a.Value.String())
			}
		}
	}
	// Output:
	// client GET /users/{id} Error
	//   url.full https://example.com/users/7?key=REDACTED
	// client GET /users/{id} Unset
	//   url.full https://example.com/users/7?key=REDACTED
	//   http.request.resend_count 1
	// internal call GET /users/{id} Unset
	//   url.full https://example.com/users/7?key=REDACTED
	//   ply.retry.stop done
	//   http.request.resend_count 1
}

func ExampleTelemetry_ObserveCache() {
	reader := metric.NewManualReader()
	telemetry, err := plyotel.New(plyotel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	stop, err := telemetry.ObserveCache("main", c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	hc := &http.Client{Transport: c.Middleware(plytest.NewOrigin(plytest.Text("hello", "Cache-Control", "max-age=60")))}
	for range 3 {
		if err := ply.Discard(hc.Get("https://example.com/")); err != nil {
			fmt.Println(err)
			return
		}
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if m.Name != "ply.cache.requests" {
			continue
		}
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			if status, _ := p.Attributes.Value("ply.cache.status"); p.Value > 0 {
				fmt.Println(status.AsString(), p.Value)
			}
		}
	}
	// Unordered output:
	// hit 2
	// miss 1
}

func ExampleTelemetry_ObserveBudget() {
	reader := metric.NewManualReader()
	telemetry, err := plyotel.New(plyotel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	budget := &retry.TokenBucket{Capacity: 5, Floor: -1}
	stop, err := telemetry.ObserveBudget("api", budget)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	client, err := ply.New(ply.Options{
		Use:       []ply.Middleware{retry.New(retry.Options{Budget: budget, Backoff: retry.Constant(0)})},
		Transport: plytest.NewOrigin(plytest.Status(503)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := ply.Discard(client.Get(context.Background(), "https://example.com/")); err != nil {
		fmt.Println(err)
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
	}
	// Output:
	// GET https://example.com/: 503 Service Unavailable
	// ply.retry.budget.granted 1
	// ply.retry.budget.refused 1
	// ply.retry.budget.in_trouble 1
	// ply.retry.budget.empty 1
}

// What counts for itself, as the budget, breaker, hedger and limiter of the module resilience do, is shown under its own names.
func ExampleTelemetry_Observe() {
	reader := metric.NewManualReader()
	telemetry, err := plyotel.New(plyotel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	stop, err := telemetry.Observe("main", downloads{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	m := collected.ScopeMetrics[0].Metrics[0]
	fmt.Println(m.Name, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
	// Output: app.downloads 7
}

type downloads struct{}

func (downloads) Counts(yield func(name, unit, description string, level bool, value int64)) {
	yield("app.downloads", "{download}", "Downloads that have ended.", false, 7)
}

// What a span shows of a URL is the redactor's choice.
func ExampleOptions_redactor() {
	spans := tracetest.NewSpanRecorder()
	telemetry, err := plyotel.New(plyotel.Options{
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
		Redactor:       &redact.Redactor{ShowParams: []string{"page"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hc := &http.Client{Transport: telemetry.Attempt(plytest.NewOrigin(plytest.Text("ok")))}
	if err := ply.Discard(hc.Get("https://example.com/?page=2&key=hunter2")); err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range spans.Ended()[0].Attributes() {
		if a.Key == "url.full" {
			fmt.Println(a.Value.AsString())
		}
	}
	// Output: https://example.com/?page=2&key=REDACTED
}
