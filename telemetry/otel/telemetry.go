package plyotel

import (
	"errors"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/plyhttp/ply/redact"
)

// scope names this package as the origin of spans and metrics.
const scope = "github.com/plyhttp/ply/telemetry/otel"

// Options configure telemetry. The zero value uses the global providers.
type Options struct {
	// TracerProvider makes the spans. Nil means otel.GetTracerProvider at the time of each request.
	TracerProvider trace.TracerProvider

	// MeterProvider makes the instruments. Nil means otel.GetMeterProvider.
	MeterProvider metric.MeterProvider

	// Propagator writes the trace context into requests. Nil means otel.GetTextMapPropagator at the time of each request.
	Propagator propagation.TextMapPropagator

	// Redactor decides what spans show of URLs and errors. Nil means that of the request's context ([redact.With]), or else the default, which hides everything that may be secret.
	Redactor *redact.Redactor

	// AtHeaders ends spans and durations when the header of the response has arrived, for streams that never end, or to compare with instrumentations that do so.
	// Sizes of bodies are not known then. False means when the body has ended.
	AtHeaders bool

	// MaxServers is how many pairs of host and port metrics distinguish; later ones share the name "_OTHER". Zero means 100.
	MaxServers int
}

// Telemetry makes the layers. It and its layers are safe for concurrent use. It needs no closing; the caller shuts down the providers.
type Telemetry struct {
	opts      Options
	tracing   trace.Tracer // of Options.TracerProvider; nil if there is none, or if it records nothing
	global    atomic.Pointer[globalTracer]
	meter     metric.Meter
	metrics   instruments
	servers   boundedSet[server]
	templates boundedSet[string]

	activeMu sync.RWMutex // guards active
	active   map[kind][]metric.AddOption
}

// globalTracer caches the tracer of the global provider.
type globalTracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer // nil if the provider records nothing
}

// New returns a Telemetry with its instruments. An error is that of the MeterProvider, or names an invalid option.
func New(o Options) (*Telemetry, error) {
	if o.MaxServers < 0 {
		return nil, errors.New("plyotel: MaxServers is negative: give a number of servers, or zero for 100")
	}
	if o.MaxServers == 0 {
		o.MaxServers = 100
	}
	t := &Telemetry{opts: o, servers: boundedSet[server]{max: o.MaxServers}, templates: boundedSet[string]{max: 100}}
	if o.TracerProvider != nil {
		t.tracing = tracerOf(o.TracerProvider)
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	t.meter = o.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	return t, t.metrics.make(t.meter)
}

// tracerOf returns nil for a provider that records nothing.
func tracerOf(p trace.TracerProvider) trace.Tracer {
	if _, ok := p.(noop.TracerProvider); ok {
		return nil
	}
	return p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
}

// tracer returns nil if the provider records no spans.
func (t *Telemetry) tracer() trace.Tracer {
	if t.opts.TracerProvider != nil {
		return t.tracing
	}
	p := otel.GetTracerProvider()
	if known := t.global.Load(); known != nil && same(known.provider, p) {
		return known.tracer
	}
	found := &globalTracer{provider: p}
	if !unset(p) {
		found.tracer = tracerOf(p)
	}
	t.global.Store(found)
	return found.tracer
}

// unset reports whether p is the placeholder before a global provider is set. Its spans record nothing but cost allocations; its type is not exported.
func unset(p trace.TracerProvider) bool {
	kind := reflect.TypeOf(p)
	return kind.Kind() == reflect.Pointer && kind.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// same reports whether a == b. It does not panic for providers that are not comparable.
func same(a, b trace.TracerProvider) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func (t *Telemetry) redactor(req *http.Request) *redact.Redactor {
	if t.opts.Redactor != nil {
		return t.opts.Redactor
	}
	return redact.From(req.Context())
}

// inject writes the trace context of req into a copy of it.
func (t *Telemetry) inject(req *http.Request) *http.Request {
	return t.injectInto(&carrier{req: req})
}

func (t *Telemetry) injectInto(c *carrier) *http.Request {
	p := t.opts.Propagator
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	p.Inject(c.req.Context(), c)
	return c.req
}

// nothingToInject reports whether the context of req has neither a span nor baggage, so that a propagator would write nothing.
func nothingToInject(req *http.Request) bool {
	ctx := req.Context()
	return !trace.SpanContextFromContext(ctx).IsValid() && baggage.FromContext(ctx).Len() == 0
}

// carrier copies the request, unless it is a copy already, and its header when the first field is written.
type carrier struct {
	req          *http.Request
	copied       bool
	headerCopied bool
}

func (c *carrier) Get(key string) string { return c.req.Header.Get(key) }

func (c *carrier) Set(key, value string) {
	if !c.copied {
		c.copied = true
		c.req = c.req.WithContext(c.req.Context())
	}
	if !c.headerCopied {
		c.headerCopied = true
		if c.req.Header = c.req.Header.Clone(); c.req.Header == nil {
			c.req.Header = make(http.Header)
		}
	}
	c.req.Header.Set(key, value)
}

func (c *carrier) Keys() []string {
	var keys []string
	for key := range c.req.Header {
		keys = append(keys, key)
	}
	return keys
}
