package plyotel

import (
	"net/http"
	"net/http/httptrace"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
)

// Attempt is a layer that makes a span of kind client for each request, injects the trace context, and measures the request.
// It belongs innermost, below retry and cache, so that it gets each attempt. A nil next means [http.DefaultTransport].
func (t *Telemetry) Attempt(next http.RoundTripper) http.RoundTripper {
	return &attemptLayer{layer{t, orDefault(next)}}
}

type attemptLayer struct{ layer }

func (l *attemptLayer) LayerName() string { return "otel attempt" }

func (l *attemptLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	tracer := l.tracer()
	if tracer == nil && !l.metrics.enabled(req.Context()) {
		if nothingToInject(req) {
			return l.next.RoundTrip(req)
		}
		return l.next.RoundTrip(l.inject(req))
	}
	return l.observed(tracer, req)
}

func (l *attemptLayer) observed(tracer trace.Tracer, req *http.Request) (*http.Response, error) {
	var more []attribute.KeyValue
	if n := resends(req); n > 0 {
		more = append(more, semconv.HTTPRequestResendCount(n))
	}
	if n := note.Hedge(req.Context()); n > 0 {
		more = append(more, hedgeKey.Int(n))
	}
	o := l.begin(tracer, req, trace.SpanKindClient, l.spanName(req), more...)
	conn := &connection{}
	o.done = func(o *operation, e ending) { attemptDone(o, e, conn) }
	active := metric.WithAttributes(l.measuredBriefly(req)...)
	l.metrics.active.Add(o.ctx, 1, active)
	defer func() {
		if active != nil {
			l.metrics.active.Add(o.ctx, -1, active)
			o.panicked()
		}
	}()
	ctx := o.ctx
	if o.span.IsRecording() {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: conn.got})
	}
	out := req.WithContext(ctx)
	out.Body = o.counted()
	resp, err := l.next.RoundTrip(l.inject(out))
	l.metrics.active.Add(o.ctx, -1, active)
	active = nil
	if err != nil || resp == nil {
		o.failed(resp, err)
		return nil, err
	}
	o.answered(resp)
	return resp, nil
}

// measuredBriefly is what the number of active requests is told apart by.
func (t *Telemetry) measuredBriefly(req *http.Request) []attribute.KeyValue {
	s := serverOf(req.URL)
	if !t.servers.has(s) {
		s = otherServer
	}
	return s.attributes([]attribute.KeyValue{semconv.HTTPRequestMethodKey.String(methodOf(req))})
}

// resends is how often the request was sent before, by a retry layer or as an earlier hop of a redirect.
func resends(req *http.Request) int {
	if i, ok := retry.InfoFromContext(req.Context()); ok {
		return i.Earlier + len(i.Attempts)
	}
	n := 0
	for r := req; r.Response != nil && r.Response.Request != nil; r = r.Response.Request {
		n++
	}
	return n
}

// attemptDone says of an attempt what is not said of a call.
func attemptDone(o *operation, e ending, conn *connection) {
	if o.span.IsRecording() {
		a := conn.attributes()
		if v := version(e.answer); v != "" {
			a = append(a, semconv.NetworkProtocolVersion(v))
		}
		if o.req.Body != nil && o.req.Body != http.NoBody {
			a = append(a, semconv.HTTPRequestBodySize(int(o.sent.Load())))
		}
		if e.answer != nil && !o.opts.AtHeaders {
			a = append(a, semconv.HTTPResponseBodySize(int(o.received.Load())))
		}
		o.span.SetAttributes(a...)
	}
	if !o.metrics.enabled(o.ctx) {
		return
	}
	a := e.appendResult(o.measured(o.req))
	if v := version(e.answer); v != "" {
		a = append(a, semconv.NetworkProtocolVersion(v))
	}
	set := metric.WithAttributeSet(attribute.NewSet(a...))
	o.metrics.request.Record(o.ctx, e.took.Seconds(), set)
	if o.req.Body != nil && o.req.Body != http.NoBody {
		o.metrics.sent.Record(o.ctx, o.sent.Load(), set)
	}
	if e.answer != nil && !o.opts.AtHeaders {
		o.metrics.received.Record(o.ctx, o.received.Load(), set)
	}
}

// connection is the one that a request was sent over, the last one if there were several.
type connection struct {
	mu   sync.Mutex // guards info: the hook runs on a goroutine of the transport's
	info httptrace.GotConnInfo
}

func (c *connection) got(info httptrace.GotConnInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info = info
}

func (c *connection) attributes() []attribute.KeyValue {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info.Conn == nil {
		return nil
	}
	return append(appendPeer(nil, c.info.Conn), reusedKey.Bool(c.info.Reused))
}
