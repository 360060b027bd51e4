package ply

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/record"
	"github.com/plyhttp/ply/redact"
)

// The context of a recorded call has one of these, by way of internal/record, the further inside the later:
//
//	*asking     what WithCallInfo was asked for
//	*recording  the call, in the call layers of a Client
//	*hop        one of its hops, in the exchange layers
//	*exchange   one exchange, in the transport
//
// What finds a *hop that has ended begins a call of its own: somebody goes on with the context of an old request.

// asking is what WithCallInfo puts into a context.
type asking struct {
	mu   sync.Mutex // guards last
	last *recording // the call that has begun last
}

// recording is the record of a call.
type recording struct {
	asked       *asking
	start       time.Time
	method, url string // as it was asked for; the hops say what was sent
	redactor    *redact.Redactor

	mu      sync.Mutex // guards the fields below, those of the hops and those of their exchanges
	hops    []*hop
	omitted int
	err     error
	total   time.Duration // if err is not nil
}

type hop struct {
	CallHop
	call      *recording
	tally     *attempt.Tally // what a retry layer tells
	exchanges []*exchange
	ended     bool
}

type exchange struct {
	CallExchange
	hop   *hop
	got   bool // it has its connection
	outer bool // the transport under it is a client that records exchanges itself
}

// maxParts bounds what is kept of a call with very many hops, and of a hop with very many exchanges.
const maxParts = 100

func (a *asking) begin(req *http.Request) *recording {
	r := redact.From(req.Context())
	c := &recording{asked: a, start: time.Now(), method: methodOf(req), url: r.URL(req.URL), redactor: r}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = c
	return c
}

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// recordingOf returns the call that ctx belongs to; nil if it is not recorded.
func recordingOf(ctx context.Context) *recording {
	switch part := record.Of(ctx).(type) {
	case *asking:
		part.mu.Lock()
		defer part.mu.Unlock()
		return part.last
	case *recording:
		return part
	case *hop:
		return part.call
	case *exchange:
		return part.hop.call
	}
	return nil
}

// askedBy returns who wants a record of a call that begins with ctx; nil if nobody does, or if it is part of a call that is recorded already.
func askedBy(ctx context.Context) *asking {
	switch part := record.Of(ctx).(type) {
	case *asking:
		return part
	case *hop:
		if part.over() {
			return part.call.asked
		}
	case *exchange:
		if part.hop.over() {
			return part.hop.call.asked
		}
	}
	return nil
}

// record performs a call of which somebody wants a record.
func (a *asking) record(req *http.Request, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	c := a.begin(req)
	resp, err := do(req.WithContext(record.With(req.Context(), c)))
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.total = err, c.now()
	}
	return resp, err
}

func (c *recording) now() time.Duration { return time.Since(c.start) }

// hopRecorder stands outside the exchange layers, where each hop of a call passes once.
type hopRecorder struct {
	next   Handler
	caches bool // there is a cache inside; without one Cache-Status is what the server says
}

func recordHops(h Handler) *hopRecorder {
	return &hopRecorder{next: h, caches: hasLayer(h, cacheLayer)}
}

func (r *hopRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	h := beginHop(req)
	if h == nil {
		return r.next.RoundTrip(req)
	}
	ctx, tally := attempt.WithTally(record.With(req.Context(), h))
	h.tally = tally
	h.call.add(h)
	resp, err := r.next.RoundTrip(req.WithContext(ctx))
	if resp == nil || err != nil {
		h.failed(err)
		return resp, err
	}
	h.answered(resp, r.caches)
	switch {
	case resp.Request == nil:
		resp.Request = req.WithContext(ctx)
	case recordingOf(resp.Request.Context()) != h.call:
		resp.Request = resp.Request.WithContext(record.With(resp.Request.Context(), h))
	}
	h.watch(resp)
	return resp, nil
}

func (r *hopRecorder) Unwrap() http.RoundTripper { return r.next }

func (r *hopRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }
func (r *hopRecorder) CloseIdleConnections()                  { closeIdle(r.next) }

func beginHop(req *http.Request) *hop {
	call, ok := record.Of(req.Context()).(*recording)
	if !ok {
		asked := askedBy(req.Context())
		if asked == nil {
			return nil
		}
		if call = priorHop(req, asked); call == nil {
			call = asked.begin(req)
		}
	}
	return &hop{call: call, CallHop: CallHop{Method: methodOf(req), URL: redact.From(req.Context()).URL(req.URL), Header: CallSpan{Start: call.now()}}}
}

// priorHop returns the call that was redirected to req: an *http.Client makes each hop with the context that it was given.
func priorHop(req *http.Request, asked *asking) *recording {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	if c := recordingOf(req.Response.Request.Context()); c != nil && c.asked == asked {
		return c
	}
	return nil
}

func (c *recording) add(h *hop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hops) == maxParts {
		c.omitted++
		return
	}
	c.hops = append(c.hops, h)
}

func (h *hop) over() bool {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	return h.ended
}

// end notes how the hop ended. From then on it stays as it is. c.mu is held.
func (h *hop) end(err error) { h.Err, h.ended = err, true }

func (h *hop) failed(err error) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	h.Header.Duration = h.call.now() - h.Header.Start
	h.end(err)
}

func (h *hop) answered(resp *http.Response, caches bool) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	h.Status = resp.StatusCode
	h.Header.Duration = h.call.now() - h.Header.Start
	if caches {
		h.Cache, h.CacheReason = cachestatus.Of(resp.Header)
	}
}

// watch notes what comes of the body, if there is one: a connection that has been upgraded is none.
func (h *hop) watch(resp *http.Response) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if !hasBody(resp) || resp.StatusCode == http.StatusSwitchingProtocols {
		h.end(nil)
		return
	}
	h.Body.Start = h.Header.End()
	length := resp.ContentLength
	resp.Body = body.Watch(resp.Body, body.Hooks{
		Read: func(n int, err error) error {
			h.call.mu.Lock()
			defer h.call.mu.Unlock()
			h.Received += int64(n)
			return err
		},
		Done: func(err error) {
			h.call.mu.Lock()
			defer h.call.mu.Unlock()
			if err == body.ErrClosed {
				h.ClosedEarly = length != h.Received
			}
			if err == io.EOF || err == body.ErrClosed {
				err = nil
			}
			h.Body.Duration = h.call.now() - h.Body.Start
			h.end(err)
		},
	})
}

// exchangeRecorder stands at the transport of a client that [Wrap] makes. A [Client] has its transports do the same.
type exchangeRecorder struct{ next Handler }

func (r *exchangeRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if x := beginExchange(req); x != nil {
		return x.record(req, r.next.RoundTrip)
	}
	return r.next.RoundTrip(req)
}

func (r *exchangeRecorder) Unwrap() http.RoundTripper              { return r.next }
func (r *exchangeRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }
func (r *exchangeRecorder) CloseIdleConnections()                  { closeIdle(r.next) }

func beginExchange(req *http.Request) *exchange {
	var h *hop
	var outer *exchange
	switch part := record.Of(req.Context()).(type) {
	case *hop:
		h = part
	case *exchange:
		h, outer = part.hop, part
	default:
		return nil
	}
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if h.ended {
		return nil
	}
	if outer != nil {
		outer.outer = true
	}
	x := &exchange{hop: h, CallExchange: CallExchange{Method: methodOf(req), URL: redact.From(req.Context()).URL(req.URL), Span: CallSpan{Start: h.call.now()}}}
	if r, ok := attempt.Of(req.Context()); ok {
		if x.Attempt = r.Number; r.Stop != "" {
			x.Attempt++ // the call has its response, and fetches the rest of a broken body
		}
	}
	if len(h.exchanges) == maxParts {
		h.Omitted++
	} else {
		h.exchanges = append(h.exchanges, x)
	}
	return x
}

func (x *exchange) record(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	out := req.WithContext(httptrace.WithClientTrace(record.With(req.Context(), x), x.trace()))
	if req.Body != nil && req.Body != http.NoBody {
		out.Body = body.Watch(req.Body, body.Hooks{Read: func(n int, err error) error {
			x.note(func(time.Duration) { x.Sent += int64(n) })
			return err
		}})
	}
	resp, err := next(out)
	if resp != nil && resp.Request == out {
		resp.Request = req
	}
	x.note(func(now time.Duration) {
		x.Err, x.Span.Duration = err, now-x.Span.Start
		if resp != nil && err == nil {
			x.Status, x.Proto = resp.StatusCode, resp.Proto
		}
	})
	return resp, err
}

// note changes x, unless its hop has ended: what a transport does later is of no concern to the call.
func (x *exchange) note(change func(now time.Duration)) {
	x.hop.call.mu.Lock()
	defer x.hop.call.mu.Unlock()
	if !x.hop.ended {
		change(x.hop.call.now())
	}
}

// connecting is [exchange.note] for the way to a connection. A dial that goes on after another connection was found is not on it.
func (x *exchange) connecting(change func(now time.Duration)) {
	x.note(func(now time.Duration) {
		if !x.got {
			change(now)
		}
	})
}

// trace has the hooks of the transport, which come from its goroutines, also late.
func (x *exchange) trace() *httptrace.ClientTrace {
	start := func(s *CallSpan) func(time.Duration) {
		return func(now time.Duration) {
			if *s == (CallSpan{}) { // the first one: there may be a handshake with a proxy, and one with the server behind it
				s.Start = now
			}
		}
	}
	end := func(s *CallSpan) func(time.Duration) {
		return func(now time.Duration) { s.Duration = now - s.Start }
	}
	return &httptrace.ClientTrace{
		GetConn:           func(string) { x.note(x.getConn) },
		DNSStart:          func(httptrace.DNSStartInfo) { x.connecting(start(&x.DNS)) },
		DNSDone:           func(httptrace.DNSDoneInfo) { x.connecting(end(&x.DNS)) },
		ConnectStart:      x.connectStart,
		ConnectDone:       func(string, string, error) { x.connecting(end(&x.Connect)) },
		TLSHandshakeStart: func() { x.connecting(start(&x.TLS)) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { x.connecting(end(&x.TLS)) },
		GotConn:           func(info httptrace.GotConnInfo) { x.note(func(now time.Duration) { x.gotConn(info, now) }) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.note(end(&x.Send))
			}
		},
		GotFirstResponseByte: func() { x.note(x.firstByte) },
	}
}

func (x *exchange) connectStart(_, addr string) {
	x.connecting(func(now time.Duration) {
		if x.Remote = addr; x.Connect == (CallSpan{}) {
			x.Connect.Start = now
		}
	})
}

// getConn begins anew: a transport looks for another connection when the first turns out to be dead.
func (x *exchange) getConn(now time.Duration) {
	x.got, x.Queue = false, CallSpan{Start: now}
	x.DNS, x.Connect, x.TLS, x.Send, x.Answer = CallSpan{}, CallSpan{}, CallSpan{}, CallSpan{}, CallSpan{}
}

func (x *exchange) gotConn(info httptrace.GotConnInfo, now time.Duration) {
	x.got, x.Reused, x.Idle = true, info.Reused, info.IdleTime
	x.Queue.Duration, x.Send.Start = now-x.Queue.Start, now
	if info.Reused { // one that became free before the one that was being made
		x.DNS, x.Connect, x.TLS = CallSpan{}, CallSpan{}, CallSpan{}
	}
	if info.Conn != nil && info.Conn.RemoteAddr() != nil {
		x.Remote = info.Conn.RemoteAddr().String()
	}
}

// firstByte can come before the last byte of the request, or before the transport says so: then there was nothing to wait for.
func (x *exchange) firstByte(now time.Duration) {
	if x.Send.Duration == 0 {
		x.Send.Duration = now - x.Send.Start
	}
	x.Answer = CallSpan{Start: x.Send.End(), Duration: now - x.Send.End()}
}
