package plyotel

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/plyhttp/ply/middleware/logging"
)

// operation is a call or an attempt in progress. It ends once, at the first of these: the end of the body, an error, a panic,
// the end of the context, or the garbage collector. It must not refer to the body, which would then never be found.
type operation struct {
	*Telemetry
	req   *http.Request // the caller's
	ctx   context.Context
	span  trace.Span // it records nothing if there is no tracer
	start time.Time
	done  func(o *operation, e ending) // what is special about a call, or an attempt

	sent, received atomic.Int64
	ended          atomic.Bool
	decoded        decoded // the response body as a decode layer made it; set before the body is handed out, nil without one

	seen http.Response // what answer points at

	mu      sync.Mutex     // guards the fields below
	answer  *http.Response // without its body
	release func() bool    // ends the watch over the context
}

// ending is how an operation ended.
type ending struct {
	took        time.Duration
	answer      *http.Response // nil if there was none
	err         error
	kind        string // error.type, "" for none
	closedEarly bool
	neverClosed bool
}

func (t *Telemetry) begin(tracer trace.Tracer, req *http.Request, kind trace.SpanKind, name string, more ...attribute.KeyValue) *operation {
	o := &operation{Telemetry: t, req: req, ctx: req.Context(), start: time.Now()}
	if tracer == nil {
		o.span = trace.SpanFromContext(context.Background())
		return o
	}
	o.ctx, o.span = tracer.Start(o.ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(append(t.about(req), more...)...))
	return o
}

// count has the bytes of the request's content counted, as far as the furthest reading of it came. out is a copy of the caller's request.
// net/http sends the content again, by GetBody, if a connection turns out to be dead.
func (o *operation) count(out *http.Request) {
	if out.Body == nil || out.Body == http.NoBody {
		return
	}
	out.Body = o.counted(out.Body)
	if again := out.GetBody; again != nil {
		out.GetBody = func() (io.ReadCloser, error) {
			content, err := again()
			if err != nil {
				return nil, err
			}
			return o.counted(content), nil
		}
	}
}

func (o *operation) counted(content io.ReadCloser) io.ReadCloser {
	read := int64(0)
	return watch(content, func(n int, _ error) {
		read += int64(n)
		for most := o.sent.Load(); read > most && !o.sent.CompareAndSwap(most, read); most = o.sent.Load() {
		}
	}, nil)
}

// failed ends an operation that has no response. A nil response without an error is against the contract of http.RoundTripper.
func (o *operation) failed(resp *http.Response, err error) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close() // a response beside an error violates the contract; the caller would not close it
	}
	o.end(ending{err: err, kind: errorType(err)})
}

// panicked ends an operation whose next handler does not return.
func (o *operation) panicked() { o.end(ending{kind: "panic"}) }

// answered ends an operation whose response has no body to wait for, and waits for the body of any other.
// If a span processor or a meter panics, no one gets the response, so its body is closed.
func (o *operation) answered(resp *http.Response) {
	handed := false
	defer func() {
		if !handed && resp.Body != nil {
			resp.Body.Close()
		}
	}()
	o.await(resp)
	handed = true
}

// await ends the operation now, or has it ended with the body or the context.
func (o *operation) await(resp *http.Response) {
	o.seen = *resp
	o.seen.Body = http.NoBody
	o.mu.Lock()
	o.answer = &o.seen
	o.mu.Unlock()
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || o.opts.AtHeaders {
		o.end(ending{})
		return
	}
	o.decoded = decodedOf(resp.Body)
	resp.Body = watch(resp.Body, o.read, o)
	ctx := o.req.Context()
	if ctx.Done() == nil {
		return
	}
	release := context.AfterFunc(ctx, func() {
		defer func() { _ = recover() }() // no caller could, and a span processor that panics would end the program
		err := context.Cause(ctx)
		o.end(ending{err: err, kind: errorType(err)})
	})
	o.mu.Lock()
	o.release = release
	o.mu.Unlock()
	if o.ended.Load() {
		release()
	}
}

// read sees what each Read of the response's body brings. Its last error is errClosed or io.EOF.
func (o *operation) read(n int, err error) {
	received := o.received.Add(int64(n))
	switch err {
	case nil:
	case io.EOF:
		o.end(ending{})
	case errClosed:
		o.mu.Lock()
		complete := o.answer.ContentLength == received
		o.mu.Unlock()
		o.end(ending{closedEarly: !complete})
	default:
		o.end(ending{err: err, kind: errorType(err)})
	}
}

// lost ends an operation whose body was garbage collected.
//
// Span processors and meters have a goroutine of their own for it. On that of the runtime, one that blocks would hold up all other cleanups, and one that panics would end the program.
func (o *operation) lost() {
	go func() {
		defer func() { _ = recover() }()
		o.end(ending{neverClosed: true})
	}()
}

func (o *operation) end(e ending) {
	if !o.ended.CompareAndSwap(false, true) {
		return
	}
	e.took = time.Since(o.start)
	o.mu.Lock()
	e.answer = o.answer
	release := o.release
	o.mu.Unlock()
	if release != nil {
		release()
	}
	if e.kind == "" && e.answer != nil && e.answer.StatusCode >= 400 {
		e.kind = strconv.Itoa(e.answer.StatusCode)
	}
	defer o.span.End() // also if a meter panics
	o.describe(e)
	o.done(o, e)
}

// describe writes what spans of calls and attempts have in common.
func (o *operation) describe(e ending) {
	if !o.span.IsRecording() {
		return
	}
	var a []attribute.KeyValue
	if e.answer != nil {
		a = append(a, semconv.HTTPResponseStatusCode(e.answer.StatusCode))
	}
	if e.kind != "" {
		a = append(a, semconv.ErrorTypeKey.String(e.kind))
		o.span.SetStatus(codes.Error, text(o.redactor(o.req).ErrorText(e.err), maxError))
	}
	if o.decoded != nil {
		codings, encoded := o.decoded.DecodedFrom()
		a = append(a, decodeCodingsKey.String(text(codings, maxWord)), decodeEncodedKey.Int64(encoded))
	}
	if e.closedEarly {
		a = append(a, closedEarlyKey.Bool(true))
	}
	if e.neverClosed {
		a = append(a, neverClosedKey.Bool(true))
	}
	o.span.SetAttributes(a...)
}

// appendResult writes what metrics of calls and attempts have in common.
func (e ending) appendResult(to []attribute.KeyValue) []attribute.KeyValue {
	if e.answer != nil {
		to = append(to, semconv.HTTPResponseStatusCode(e.answer.StatusCode))
	}
	if e.kind != "" {
		to = append(to, semconv.ErrorTypeKey.String(e.kind))
	}
	return to
}

// errorType is the class that logs give the error: one of few.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	return logging.Outcome{Err: err}.ErrorType()
}
