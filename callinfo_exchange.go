package ply

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

type exchange struct {
	CallExchange
	hop   *hop
	got   bool // it has its connection
	outer bool // the transport under it is a client that records exchanges itself
}

// exchangeRecorder stands at the transport of a client that [Wrap] makes. A [Client] has its transports do the same.
type exchangeRecorder struct{ next Handler }

func (r *exchangeRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if x := beginExchange(req); x != nil {
		return x.record(req, r.next.RoundTrip)
	}
	return r.next.RoundTrip(req)
}

func (r *exchangeRecorder) Unwrap() http.RoundTripper { return r.next }

func (r *exchangeRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }

func (r *exchangeRecorder) CloseIdleConnections() { closeIdle(r.next) }

func beginExchange(req *http.Request) *exchange {
	var h *hop
	var outer *exchange
	switch part := reqctx.Record(req.Context()).(type) {
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
	out := req.WithContext(httptrace.WithClientTrace(reqctx.WithRecord(req.Context(), x), x.trace()))
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
