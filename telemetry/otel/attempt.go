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
	active := l.activeOptions(req)
	l.metrics.active.Add(o.ctx, 1, active...)
	defer func() {
		if active != nil {
			l.metrics.active.Add(o.ctx, -1, active...)
			o.panicked()
		}
	}()
	ctx := o.ctx
	if o.span.IsRecording() {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: conn.got})
	}
	out := req.WithContext(ctx)
	o.count(out)
	resp, err := l.next.RoundTrip(l.injectInto(&carrier{req: out, copied: true}))
	l.metrics.active.Add(o.ctx, -1, active...)
	active = nil
	if err != nil || resp == nil {
		o.failed(resp, err)
		return nil, err
	}
	o.answered(resp)
	return resp, nil
}

// kind is what the numbers of active requests, retries and stops are told apart by.
type kind struct {
	method string
	server server
}

func (k kind) attributes() []attribute.KeyValue {
	return k.server.attributes(append(make([]attribute.KeyValue, 0, 3), semconv.HTTPRequestMethodKey.String(k.method)))
}

// briefKind returns the kind of a request, with one server for all that are beyond the bound.
func (t *Telemetry) briefKind(req *http.Request) kind {
	k := kind{methodOf(req), serverOf(req.URL)}
	if !t.servers.has(k.server) {
		k.server = otherServer
	}
	return k
}

// activeOptions returns the options with the attributes of the number of active requests. They are made once for each kind,
// and there are few: servers are bounded, and so are methods.
func (t *Telemetry) activeOptions(req *http.Request) []metric.AddOption {
	k := t.briefKind(req)
	t.activeMu.RLock()
	options := t.active[k]
	t.activeMu.RUnlock()
	if options != nil {
		return options
	}
	options = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(k.attributes()...))}
	t.activeMu.Lock()
	defer t.activeMu.Unlock()
	if t.active == nil {
		t.active = make(map[kind][]metric.AddOption)
	}
	t.active[k] = options
	return options
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
		a := conn.appendTo(make([]attribute.KeyValue, 0, 6))
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

func (c *connection) appendTo(a []attribute.KeyValue) []attribute.KeyValue {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info.Conn == nil {
		return a
	}
	return append(appendPeer(a, c.info.Conn), reusedKey.Bool(c.info.Reused))
}
