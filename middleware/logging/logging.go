package logging

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
)

// New returns a layer that writes one record for each request that passes it, when the body of the response has ended.
//
// Placed outside a retry layer it writes one record per call; placed inside, one per attempt, at lower levels.
// It never delays, keeps or changes what passes, and no value that may be secret is written: see the package documentation.
//
// The handlers that one New makes share what Options.Sample counts. They are safe for concurrent use, as far as the Logger's handler is.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	o = o.withDefaults()
	s := &sampler{Sample: o.Sample}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{next: next, opts: &o, sampler: s}
	}
}

type handler struct {
	next    http.RoundTripper
	opts    *Options
	sampler *sampler
}

func (h *handler) LayerName() string         { return "logging" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

func (h *handler) CloseIdleConnections() {
	if c, ok := h.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	logger := h.opts.logger()
	if !logger.Enabled(req.Context(), highest) {
		return h.next.RoundTrip(req)
	}
	x := &exchange{opts: h.opts, sampler: h.sampler, logger: logger, req: req, start: time.Now()}
	if r, ok := attempt.Of(req.Context()); ok && r.Stop == "" {
		x.attempt = r.Number
	}
	resp, err := h.next.RoundTrip(x.outgoing())
	x.firstByte = time.Since(x.start)
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close() // against the contract of http.RoundTripper: nobody else would
		}
		x.finish(nil, err)
		return nil, err
	}
	x.watch(resp)
	return resp, nil
}

// exchange is one request on its way through the layer.
type exchange struct {
	opts    *Options
	sampler *sampler
	logger  *slog.Logger
	req     *http.Request // the caller's
	attempt int           // zero outside a retry layer
	start   time.Time
	id      string // of the call
	tally   *attempt.Tally

	cache     CacheStatus
	header    http.Header // of the response, as it may be shown; nil unless it is wanted
	firstByte time.Duration
	sent      atomic.Int64 // bytes of the request body; its transport may still be reading
	received  atomic.Int64 // bytes of the response body
	question  *capture     // of the request body; nil if nothing is kept
	answer    *capture     // of the response body
}

// outgoing is the request to pass on: a copy that carries the call's id, and whose body is counted.
func (x *exchange) outgoing() *http.Request {
	x.id = callID(x.req)
	ctx, tally := attempt.WithTally(WithCallID(x.req.Context(), x.id))
	x.tally = tally
	r := x.req.WithContext(ctx)
	if x.req.Body == nil || x.req.Body == http.NoBody {
		return r
	}
	x.question = newCapture(x.req.Header, x.opts.BodyBytes)
	r.Body = body.Watch(tapped(x.req.Body, x.question), body.Hooks{Read: func(n int, err error) error {
		x.sent.Add(int64(n))
		return err
	}})
	return r
}

// watch writes the record when the body of resp has ended: now, if it has none.
//
// What is written of the header is taken now: it belongs to the caller then.
func (x *exchange) watch(resp *http.Response) {
	x.cache = cacheStatus(resp)
	if x.opts.Headers && resp != nil {
		x.header = x.opts.Redactor.Header(resp.Header)
	}
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || x.opts.AtHeaders {
		x.finish(resp, nil)
		return
	}
	x.answer = newCapture(resp.Header, x.opts.BodyBytes)
	resp.Body = body.Watch(tapped(resp.Body, x.answer), body.Hooks{
		Read: func(n int, err error) error {
			x.received.Add(int64(n))
			return err
		},
		Done: func(err error) {
			if err == io.EOF {
				err = nil
			}
			x.finish(resp, err)
		},
	})
}

// finish writes the record, if its level is wanted and it is chosen. It is called once.
func (x *exchange) finish(resp *http.Response, err error) {
	o, ctx := x.outcome(resp, err), x.req.Context()
	level := x.opts.Level(o)
	if !x.logger.Enabled(ctx, level) {
		return
	}
	if suppressed, ok := x.sampler.take(o.Unremarkable(), time.Now()); ok {
		x.write(ctx, level, o, suppressed)
	}
}

func (x *exchange) write(ctx context.Context, level slog.Level, o Outcome, suppressed int) {
	message := "http call"
	if o.Attempt > 0 {
		message = "http attempt"
	}
	a := x.attrs(o)
	if suppressed > 0 {
		a = append(a, slog.Int("suppressed", suppressed))
	}
	x.logger.LogAttrs(ctx, level, message, a...)
}
