package plyotel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/plyhttp/ply/middleware/cache"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

// recorded is all that providers were told.
type recorded struct {
	spans  *tracetest.SpanRecorder
	traces *trace.TracerProvider
	reader *metric.ManualReader
	meters *metric.MeterProvider
}

func newRecorded() *recorded {
	s := &recorded{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	s.traces = trace.NewTracerProvider(trace.WithSpanProcessor(s.spans))
	s.meters = metric.NewMeterProvider(metric.WithReader(s.reader))
	return s
}

func (s *recorded) options() plyotel.Options {
	return plyotel.Options{TracerProvider: s.traces, MeterProvider: s.meters, Propagator: propagation.TraceContext{}}
}

func (s *recorded) telemetry(t testing.TB, change ...func(*plyotel.Options)) *plyotel.Telemetry {
	t.Helper()
	o := s.options()
	for _, c := range change {
		c(&o)
	}
	telemetry, err := plyotel.New(o)
	require.NoError(t, err)
	return telemetry
}

// ended are the spans that have ended, as text, in the order of their ends. What a scripted origin says of its connections is left out.
func (s *recorded) ended() []string {
	var all []string
	for _, span := range s.spans.Ended() {
		text := fmt.Sprintf("%s %q %s", span.SpanKind(), span.Name(), attributes(slices.DeleteFunc(span.Attributes(), ofConnection)))
		if span.Status().Code != codes.Unset {
			text += fmt.Sprintf(" status=%s %q", span.Status().Code, span.Status().Description)
		}
		for _, e := range span.Events() {
			text += fmt.Sprintf(" event=%s(%s at %s)", e.Name, attributes(e.Attributes), e.Time.Sub(span.StartTime()))
		}
		all = append(all, text+fmt.Sprintf(" took=%s", span.EndTime().Sub(span.StartTime())))
	}
	return all
}

func ofConnection(a attribute.KeyValue) bool {
	return strings.HasPrefix(string(a.Key), "network.peer.") || a.Key == "ply.connection.reused"
}

func attributes(all []attribute.KeyValue) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, string(a.Key)+"="+a.Value.String())
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// measured is what has been collected, one line for each series.
func (s *recorded) measured(t testing.TB) []string {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &collected))
	var all []string
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, series := range seriesOf(m.Data) {
				all = append(all, strings.TrimSpace(m.Name+" "+series))
			}
		}
	}
	slices.Sort(all)
	return all
}

func seriesOf(data metricdata.Aggregation) (all []string) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			all = append(all, fmt.Sprintf("%s: %d", attributes(p.Attributes.ToSlice()), p.Value))
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			all = append(all, fmt.Sprintf("%s: %d times, %d in all", attributes(p.Attributes.ToSlice()), p.Count, p.Sum))
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			all = append(all, fmt.Sprintf("%s: %d times, %g in all", attributes(p.Attributes.ToSlice()), p.Count, p.Sum))
		}
	default:
		all = append(all, fmt.Sprintf("%T", data))
	}
	return all
}

func request(t testing.TB, ctx context.Context, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

// get makes a request and reads its body to the end.
func get(t testing.TB, h http.RoundTripper, url string) error {
	t.Helper()
	resp, err := h.RoundTrip(request(t, t.Context(), url))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// oneTree checks that the last span is the parent of the others.
func oneTree(t *testing.T, spans []trace.ReadOnlySpan) {
	t.Helper()
	root := spans[len(spans)-1].SpanContext()
	ids := map[string]bool{}
	for _, span := range spans[:len(spans)-1] {
		ids[span.SpanContext().SpanID().String()] = true
		if span.Parent().SpanID() != root.SpanID() || span.SpanContext().TraceID() != root.TraceID() {
			t.Errorf("%s is not under the call", span.Name())
		}
	}
	if len(ids) != len(spans)-1 {
		t.Errorf("%d ids of %d attempts", len(ids), len(spans)-1)
	}
}

func post(t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	return req
}

func errOf(_ *http.Response, err error) error { return err }
