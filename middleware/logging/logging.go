package logging

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/redact"
)

// New returns a layer that writes one record for each request, when the body of its response has ended.
//
// Outside a retry layer it writes one record per call; inside, one per attempt, at lower levels.
// It does not delay, keep or change requests and responses, and writes no value that may be secret; see the package documentation.
//
// The handlers of one New share the counts of Options.Sample. They are safe for concurrent use.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	o = o.withDefaults()
	s := &sampler{Sample: o.Sample}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{next: next, opts: &o, sampler: s, caches: mayCache(next)}
	}
}

type handler struct {
	next    http.RoundTripper
	opts    *Options
	sampler *sampler
	caches  bool // there may be a cache inside; without one Cache-Status is from the server
}

func (h *handler) LayerName() string         { return "logging" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

// WrappedRoundTripper is Unwrap under the name that Kubernetes uses.
func (h *handler) WrappedRoundTripper() http.RoundTripper { return h.next }

func (h *handler) CloseIdleConnections() {
	if c, ok := h.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	logger := h.opts.logger()
	if !enabled(logger, req) {
		return h.next.RoundTrip(req)
	}
	x := &exchange{caches: h.caches, opts: h.opts, sampler: h.sampler, logger: logger, redactor: redactorFor(h.opts.Redactor, req), req: req, start: time.Now()}
	if r, ok := attempt.Of(req.Context()); ok && r.Stop == "" {
		x.attempt = r.Number
	}
	returned := false
	defer func() {
		if !returned { // a panic, which goes on, or runtime.Goexit
			x.firstByte = time.Since(x.start)
			x.finish(nil, errPanicked)
		}
	}()
	resp, err := h.next.RoundTrip(x.outgoing())
	returned = true
	x.firstByte = time.Since(x.start)
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close() // a response beside an error violates the contract of http.RoundTripper; the caller would not close it
		}
		x.finish(nil, err)
		return nil, err
	}
	x.watch(resp)
	return resp, nil
}

// enabled reports whether any record of the request would be written. If the logger panics, nothing is sent, so the body is closed.
func enabled(logger *slog.Logger, req *http.Request) bool {
	returned := false
	defer func() {
		if !returned && req.Body != nil {
			req.Body.Close()
		}
	}()
	yes := logger.Enabled(req.Context(), highest)
	returned = true
	return yes
}

// errPanicked is the error of a call whose next handler panicked. The value of the panic may be secret.
var errPanicked = errors.New("the next handler has panicked")

// errLost is the error of a body that was dropped without an end.
var errLost = errors.New("the body was neither read to its end nor closed")

// exchange is one request and its response.
type exchange struct {
	opts     *Options
	caches   bool
	sampler  *sampler
	logger   *slog.Logger
	redactor *redact.Redactor
	req      *http.Request // the caller's
	attempt  int           // zero outside a retry layer
	start    time.Time
	id       string // of the call
	tally    *attempt.Tally
	conn     *connection // nil without Options.Connection

	seen      http.Response // see withoutBody
	cache     CacheStatus
	header    http.Header // of the response, redacted; nil without Options.Headers
	firstByte time.Duration
	sent      atomic.Int64 // bytes of the request body, which the transport may still be reading
	received  atomic.Int64 // bytes of the response body
	question  *capture     // of the request body; nil if nothing is kept
	answer    *capture     // of the response body
	decoded   body.Decoded // the response body as a decode layer inside made it; nil without one
}

// outgoing returns the request for the next layer: a copy with the call's id in its context, and with a body that is counted.
func (x *exchange) outgoing() *http.Request {
	x.id = callID(x.req)
	ctx, tally := attempt.WithTally(WithCallID(x.req.Context(), x.id))
	x.tally = tally
	if x.opts.Connection {
		x.conn = &connection{}
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: x.conn.got})
	}
	r := x.req.WithContext(ctx)
	if x.req.Body == nil || x.req.Body == http.NoBody {
		return r
	}
	x.question = newCapture(x.req.Header, x.opts.BodyBytes)
	body.WatchRequest(r, x.watchSent)
	return r
}

// watchSent counts what is read of the request body. It may be read several times: the furthest that one of them gets counts.
func (x *exchange) watchSent(content io.ReadCloser) io.ReadCloser {
	read := int64(0)
	return body.Watch(tapped(content, x.question), body.Hooks{Read: func(n int, err error) error {
		read += int64(n)
		for most := x.sent.Load(); read > most && !x.sent.CompareAndSwap(most, read); most = x.sent.Load() {
		}
		return err
	}})
}

// watch has the record written when the body of resp has ended, or now if there is none.
//
// It copies what the record says of the header, because the header belongs to the caller from then on.
// If the logger or the redactor panics, no one gets the response, so its body is closed.
func (x *exchange) watch(resp *http.Response) {
	watched := false
	defer func() {
		if !watched && resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
	}()
	x.follow(resp)
	watched = true
}

func (x *exchange) follow(resp *http.Response) {
	if x.caches {
		x.cache = cacheStatus(resp)
	}
	if x.opts.Headers && resp != nil {
		x.header = x.redactor.Header(resp.Header)
	}
	seen := x.withoutBody(resp)
	if resp == nil || resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || x.opts.AtHeaders {
		x.finish(seen, nil)
		return
	}
	x.answer = newCapture(resp.Header, x.opts.BodyBytes)
	x.decoded = body.DecodedOf(resp.Body)
	resp.Body = body.WatchBy(tapped(resp.Body, x.answer), x, x.lost(seen))
}

// BodyRead counts what is read of the response body.
func (x *exchange) BodyRead(n int, err error) error {
	x.received.Add(int64(n))
	return err
}

// BodyDone writes the record when the response body has ended.
func (x *exchange) BodyDone(err error) {
	if err == io.EOF {
		err = nil
	}
	x.finish(&x.seen, err)
}

// lost returns the hook for a body that is never closed, or nil if warnings are not logged. The hook must not refer to the body, and x does not.
//
// The logger has a goroutine of its own for it. On that of the runtime, one that blocks would hold up all other cleanups, and one that panics would end the program:
// there is no caller who could recover.
func (x *exchange) lost(seen *http.Response) func() {
	if !x.logger.Enabled(x.req.Context(), slog.LevelWarn) {
		return nil
	}
	return func() {
		go func() {
			defer func() { _ = recover() }()
			x.finish(seen, errLost)
		}()
	}
}

// withoutBody returns a copy of resp without its body, which Options.Level must not read and the record must not keep alive.
func (x *exchange) withoutBody(resp *http.Response) *http.Response {
	if resp == nil {
		return nil
	}
	x.seen = *resp
	x.seen.Body = http.NoBody
	return &x.seen
}

// finish writes the record, if its level is enabled and the sample includes it. It is called once.
func (x *exchange) finish(resp *http.Response, err error) {
	o, ctx := x.outcome(resp, err), x.req.Context()
	level := x.opts.Level(o)
	if !x.logger.Enabled(ctx, level) {
		return
	}
	if suppressed, ok := x.sampler.take(o.Routine(), time.Now()); ok {
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
