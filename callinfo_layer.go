package ply

import (
	"net/http"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/stack"
)

// RecordCalls is a layer that has each call recorded that passes it, as if its context came from [WithCallInfo]: a [Middleware] for programs and layers
// that look at all calls. A layer inside it finds the record with [CallInfoFromContext], and the caller with [CallInfoFrom]. A call that is recorded already
// keeps its one record.
//
// Among the exchange layers it records each hop from there to the transport, and the hops of a redirected call in one record. Among the call layers it records calls as WithCallInfo does.
// Exchanges are in the record if the chain is that of a [Client] or was mounted by [Wrap], or if RecordCalls is next to the transport.
func RecordCalls(next Handler) Handler {
	next = orDefault(next)
	r := &callsRecorder{next: next, redirects: hasLayer(next, (*redirectLayer)(nil).LayerName())}
	if isTransport(next) {
		r.hops = recordHops(&exchangeRecorder{next})
	} else {
		r.hops = recordHops(next)
	}
	return r
}

// isTransport reports whether h is the end of a chain and records no exchanges itself.
func isTransport(h Handler) bool {
	switch h.(type) {
	case *link, *branch, *transports, *Client, *exchangeRecorder, *hopRecorder, *asTransport:
		return false
	}
	return stack.Next(h) == nil
}

type callsRecorder struct {
	next      Handler
	hops      *hopRecorder // around next
	redirects bool         // next follows redirects, so that a request is a whole call
}

func (r *callsRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	switch reqctx.Record(req.Context()).(type) {
	case nil:
	case *callRecord:
		return r.next.RoundTrip(req) // a call layer of a recorded call: its hops are recorded below
	default:
		return r.hops.RoundTrip(req)
	}
	recorder := recorderBefore(req)
	if recorder == nil {
		recorder = &callRecorder{}
	}
	if r.redirects {
		return recorder.recordCall(req, r.next.RoundTrip)
	}
	return r.hops.RoundTrip(withRecord(req, recorder))
}

// recorderBefore returns the recorder of the call that was redirected to req, or nil.
func recorderBefore(req *http.Request) *callRecorder {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	if c := callRecordOf(req.Response.Request.Context()); c != nil {
		return c.recorder
	}
	return nil
}

func (r *callsRecorder) LayerName() string { return "record" }

func (r *callsRecorder) Unwrap() http.RoundTripper { return r.next }

func (r *callsRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }

func (r *callsRecorder) CloseIdleConnections() { closeIdle(r.next) }
