package plyotel

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
)

// Call is a layer that makes a span of kind internal for each call, and measures its whole duration: redirects, cache hits, retries and waits included.
// It belongs outermost. It does not inject the trace context; [Telemetry.Attempt] does. A nil next means [http.DefaultTransport].
func (t *Telemetry) Call(next http.RoundTripper) http.RoundTripper {
	next = orDefault(next)
	caches := slices.ContainsFunc(ply.Layers(next), func(l ply.Layer) bool { return l.Name == "cache" })
	return &callLayer{layer{t, next}, caches}
}

type callLayer struct {
	layer
	caches bool // there is a cache inside; without one Cache-Status is from the server
}

func (l *callLayer) LayerName() string { return "otel call" }

func (l *callLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	tracer := l.tracer()
	if tracer == nil && !l.metrics.enabled(req.Context()) {
		return l.next.RoundTrip(req)
	}
	o := l.begin(tracer, req, trace.SpanKindInternal, "call "+l.spanName(req))
	ctx, info := retry.WithInfo(o.ctx)
	ctx, authInfo := auth.WithInfo(ctx)
	ctx, notes := note.Collect(ctx)
	var status cache.Status
	var cached bool
	o.done = func(o *operation, e ending) {
		done := outcome{ending: e, status: status, cached: cached}
		done.info, done.retried = info()
		done.auth, _ = authInfo()
		done.notes = notes()
		o.callDone(done)
	}
	returned := false
	defer func() {
		if !returned {
			o.panicked()
		}
	}()
	resp, err := l.next.RoundTrip(req.WithContext(ctx))
	returned = true
	if err != nil || resp == nil {
		o.failed(resp, err)
		return nil, err
	}
	if l.caches {
		status, cached = cache.StatusOf(resp)
	}
	o.answered(resp)
	return resp, nil
}

// outcome is how a call ended, and what the layers inside did.
type outcome struct {
	ending
	status  cache.Status
	cached  bool // a cache took part
	auth    auth.Info
	info    retry.Info
	retried bool // a retry layer took part
	notes   []note.Note
}

// callDone reports what a call has and an attempt has not.
func (o *operation) callDone(e outcome) {
	if o.span.IsRecording() {
		o.describeCall(e)
	}
	if !o.metrics.enabled(o.ctx) {
		return
	}
	a := e.appendResult(o.measured(o.req))
	if e.cached {
		a = append(a, cacheStatusKey.String(e.status.Outcome()))
	}
	o.metrics.call.Record(o.ctx, e.took.Seconds(), metric.WithAttributeSet(attribute.NewSet(a...)))
	if !e.retried {
		return
	}
	brief := o.briefKind(o.req).attributes()
	if n := e.info.Retries(); n > 0 {
		o.metrics.retries.Add(o.ctx, int64(n), metric.WithAttributes(brief...))
	}
	o.metrics.stops.Add(o.ctx, 1, metric.WithAttributes(append(slices.Clip(brief), retryStopKey.String(string(e.info.Stop)))...))
}

func (o *operation) describeCall(e outcome) {
	var a []attribute.KeyValue
	if e.cached {
		a = append(a, cacheStatusKey.String(e.status.Outcome()))
		if e.status.Collapsed {
			a = append(a, collapsedKey.Bool(true)) // the spans of the exchange are under the call that led it
		}
		if why := e.status.Detail; why != "" {
			a = append(a, cacheReasonKey.String(text(why, maxWord)))
		} else if e.status.Fwd != "" {
			a = append(a, cacheReasonKey.String(string(e.status.Fwd)))
		}
	}
	if e.auth.Status != "" {
		a = append(a, authStatusKey.String(e.auth.Status))
	}
	if e.auth.Reason != "" {
		a = append(a, authReasonKey.String(e.auth.Reason))
	}
	if e.retried {
		a = append(a, retryAttemptsKey.Int(e.info.Earlier+len(e.info.Attempts)), retryStopKey.String(string(e.info.Stop)))
		if n := e.info.Resends(); n > 0 {
			a = append(a, semconv.HTTPRequestResendCount(n))
		}
		o.addRetries(e.info)
	}
	o.addNotes(e.notes)
	o.span.SetAttributes(a...)
}

// addNotes writes an event for each thing that hedge, breaker and limit did, as "limit waited", at the moment when it began.
func (o *operation) addNotes(notes []note.Note) {
	for _, n := range notes {
		var a []attribute.KeyValue
		if n.Detail != "" {
			a = append(a, noteDetailKey.String(text(n.Detail, maxWord)))
		}
		if n.Duration > 0 {
			a = append(a, noteDurationKey.Float64(n.Duration.Round(time.Microsecond).Seconds()))
		}
		o.span.AddEvent(text(n.Layer+" "+n.Event, maxWord), trace.WithTimestamp(n.Start), trace.WithAttributes(a...))
	}
}

// addRetries adds an event for each retry, at the time when its wait began. After a redirect that time is not known.
func (o *operation) addRetries(i retry.Info) {
	if i.Earlier > 0 {
		return
	}
	at := o.start
	for n, failed := range i.Attempts {
		at = at.Add(failed.Wait + failed.Duration)
		if n+1 == len(i.Attempts) {
			return
		}
		kind := errorType(failed.Err)
		if failed.Err == nil {
			kind = strconv.Itoa(failed.Status)
		}
		o.span.AddEvent("retry", trace.WithTimestamp(at), trace.WithAttributes(
			retryAttemptsKey.Int(n+1), semconv.ErrorTypeKey.String(kind), retryWaitKey.Float64(i.Attempts[n+1].Wait.Round(time.Microsecond).Seconds())))
	}
}

// layer is what both layers share.
type layer struct {
	*Telemetry
	next http.RoundTripper
}

func (l *layer) Unwrap() http.RoundTripper { return l.next }

// WrappedRoundTripper is Unwrap under the name that Kubernetes uses.
func (l *layer) WrappedRoundTripper() http.RoundTripper { return l.next }

func (l *layer) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func orDefault(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		return http.DefaultTransport
	}
	return next
}
