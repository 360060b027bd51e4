package ply

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/reqctx"
)

type exchangeRecord struct {
	CallExchange
	hop       *hopRecord
	connected bool // the transport has a connection for it
	outermost bool // the transport below is a client that records exchanges itself
}

// exchangeRecorder wraps the transport of a client that [Wrap] makes. In a [Client], transports does the same.
type exchangeRecorder struct{ next Handler }

func (r *exchangeRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if x := newExchangeRecord(req); x != nil {
		return x.record(req, r.next.RoundTrip)
	}
	return r.next.RoundTrip(req)
}

func (r *exchangeRecorder) Unwrap() http.RoundTripper { return r.next }

func (r *exchangeRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }

func (r *exchangeRecorder) CloseIdleConnections() { closeIdle(r.next) }

func newExchangeRecord(req *http.Request) *exchangeRecord {
	var h *hopRecord
	var outer *exchangeRecord
	switch part := reqctx.Record(req.Context()).(type) {
	case *hopRecord:
		h = part
	case *exchangeRecord:
		h, outer = part.hop, part
	default:
		return nil
	}
	url := urlTextOf(req, &h.url) // without the lock: a redactor may call the program's functions
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if h.ended {
		return nil
	}
	if outer != nil {
		outer.outermost = true
	}
	x := &h.first
	if h.exchanges == nil {
		h.exchanges = h.room[:0]
	} else {
		x = &exchangeRecord{}
	}
	x.hop, x.CallExchange = h, CallExchange{Method: methodOf(req), URL: url.text, Hedge: attempt.Hedge(req.Context()), Span: CallSpan{Start: h.call.now()}}
	if r, ok := attempt.Of(req.Context()); ok {
		if x.Attempt = r.Number; r.Stop != "" {
			x.Attempt++ // the response was returned already: this exchange fetches the rest of a broken body
		}
	}
	if len(h.exchanges) == maxRecorded {
		h.Omitted++
	} else {
		h.exchanges = append(h.exchanges, x)
	}
	return x
}

// tracedRequest is a request, the context in which an exchange hears of it, and the hooks for the transport: one allocation for the three.
type tracedRequest struct {
	req    http.Request
	record reqctx.RecordContext
	trace  httptrace.ClientTrace
}

// request returns a copy of req that is noted in x, and that calls x's hooks.
func (x *exchangeRecord) request(req *http.Request) *http.Request {
	r := &tracedRequest{trace: x.trace()}
	r.record.Fill(req.Context(), x)
	r.req = *req.WithContext(httptrace.WithClientTrace(&r.record, &r.trace))
	return &r.req
}

func (x *exchangeRecord) record(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	out := x.request(req)
	if req.Body != nil && req.Body != http.NoBody {
		body.WatchRequest(out, x.watchSent)
	}
	resp, err := next(out)
	if resp != nil && resp.Request == out {
		resp.Request = req
	}
	x.update(func(now time.Duration) {
		x.Err, x.Span.Duration = err, now-x.Span.Start
		if resp != nil && err == nil {
			x.Status, x.Proto = resp.StatusCode, resp.Proto
		}
	})
	return resp, err
}

// watchSent notes what is read of the request's content. It may be read several times: the furthest that one of them gets counts.
func (x *exchangeRecord) watchSent(content io.ReadCloser) io.ReadCloser {
	read := int64(0)
	return body.Watch(content, body.Hooks{Read: func(n int, err error) error {
		read += int64(n)
		x.update(func(time.Duration) { x.Sent = max(x.Sent, read) })
		return err
	}})
}

// update changes x under the lock of its call, unless the hop has ended: hooks of the transport may run later, and an ended hop does not change.
func (x *exchangeRecord) update(change func(now time.Duration)) {
	x.hop.call.mu.Lock()
	defer x.hop.call.mu.Unlock()
	if !x.hop.ended {
		change(x.hop.call.now())
	}
}

// updateConnecting is update for the phases of making a connection. It ignores a dial that goes on after another connection was found.
func (x *exchangeRecord) updateConnecting(change func(now time.Duration)) {
	x.update(func(now time.Duration) {
		if !x.connected {
			change(now)
		}
	})
}

// trace returns the hooks that the transport calls, from goroutines of its own and possibly after the exchange.
func (x *exchangeRecord) trace() httptrace.ClientTrace {
	start := func(s *CallSpan) func(time.Duration) {
		return func(now time.Duration) {
			if *s == (CallSpan{}) { // only the first: there may be one handshake with a proxy and one with the server
				s.Start = now
			}
		}
	}
	end := func(s *CallSpan) func(time.Duration) {
		return func(now time.Duration) { s.Duration = now - s.Start }
	}
	return httptrace.ClientTrace{
		GetConn:           func(string) { x.update(x.getConn) },
		DNSStart:          func(httptrace.DNSStartInfo) { x.updateConnecting(start(&x.DNS)) },
		DNSDone:           func(httptrace.DNSDoneInfo) { x.updateConnecting(end(&x.DNS)) },
		ConnectStart:      x.connectStart,
		ConnectDone:       func(string, string, error) { x.updateConnecting(end(&x.Connect)) },
		TLSHandshakeStart: func() { x.updateConnecting(start(&x.TLS)) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { x.updateConnecting(end(&x.TLS)) },
		GotConn:           func(info httptrace.GotConnInfo) { x.update(func(now time.Duration) { x.gotConn(info, now) }) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.update(end(&x.Send))
			}
		},
		GotFirstResponseByte: func() { x.update(x.firstByte) },
	}
}

func (x *exchangeRecord) connectStart(_, addr string) {
	x.updateConnecting(func(now time.Duration) {
		if x.Remote = addr; x.Connect == (CallSpan{}) {
			x.Connect.Start = now
		}
	})
}

// getConn restarts the phases: a transport looks for another connection when the first turns out to be dead.
func (x *exchangeRecord) getConn(now time.Duration) {
	x.connected, x.Queue = false, CallSpan{Start: now}
	x.DNS, x.Connect, x.TLS, x.Send, x.Answer = CallSpan{}, CallSpan{}, CallSpan{}, CallSpan{}, CallSpan{}
}

func (x *exchangeRecord) gotConn(info httptrace.GotConnInfo, now time.Duration) {
	x.connected, x.Reused, x.Idle = true, info.Reused, info.IdleTime
	x.Queue.Duration, x.Send.Start = now-x.Queue.Start, now
	if info.Reused { // it became free before the new connection was made
		x.DNS, x.Connect, x.TLS = CallSpan{}, CallSpan{}, CallSpan{}
	}
	if info.Conn != nil && info.Conn.RemoteAddr() != nil {
		x.Remote = info.Conn.RemoteAddr().String()
	}
}

// firstByte ends the exchange's wait. It may run before the last byte of the request was sent, or reported: then there was no wait.
func (x *exchangeRecord) firstByte(now time.Duration) {
	if x.Send.Duration == 0 {
		x.Send.Duration = now - x.Send.Start
	}
	x.Answer = CallSpan{Start: x.Send.End(), Duration: now - x.Send.End()}
}
