package ply

import (
	"errors"
	"io"
	"net/http"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/reqctx"
)

type hopRecord struct {
	CallHop
	call      *callRecord
	url       urlText
	tally     attempt.Tally     // receives what a retry layer reports
	exchanges []*exchangeRecord // the first of them in room
	room      [1]*exchangeRecord
	first     exchangeRecord
	ended     bool
	length    int64 // of the response, as ContentLength says it
}

// hopRecorder wraps the exchange layers: each hop of a call passes it once.
type hopRecorder struct {
	next   Handler
	caches bool // a ply cache is among the layers; without one, Cache-Status is the server's
}

func recordHops(h Handler) *hopRecorder {
	return &hopRecorder{next: h, caches: hasLayer(h, cacheLayer)}
}

func (r *hopRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	h := newHopRecord(req)
	if h == nil {
		return r.next.RoundTrip(req)
	}
	out := h.request(req)
	ctx := out.Context()
	returned := false
	defer func() {
		if !returned {
			h.failed(errPanicked)
		}
	}()
	resp, err := r.next.RoundTrip(out)
	returned = true
	if resp == nil || err != nil {
		if err == nil {
			h.failed(errNothing)
		} else {
			h.failed(err)
		}
		return resp, err
	}
	h.responded(resp, r.caches)
	switch {
	case resp.Request == nil:
		resp.Request = req.WithContext(ctx)
	case callRecordOf(resp.Request.Context()) != h.call:
		resp.Request = resp.Request.WithContext(reqctx.WithRecord(resp.Request.Context(), h))
	}
	h.watchBody(resp)
	return resp, nil
}

func (r *hopRecorder) Unwrap() http.RoundTripper { return r.next }

func (r *hopRecorder) WrappedRoundTripper() http.RoundTripper { return r.next }

func (r *hopRecorder) CloseIdleConnections() { closeIdle(r.next) }

// errNothing is the error of a hop against the contract of http.RoundTripper.
var errNothing = errors.New("a layer has returned neither a response nor an error")

// hopRequest is a request and the context in which a hop hears of it: one allocation for the two.
type hopRequest struct {
	req    http.Request
	record reqctx.RecordContext
	tally  attempt.Context
}

// request returns a copy of req that is noted in h, and of which h hears what a retry layer reports.
func (h *hopRecord) request(req *http.Request) *http.Request {
	r := &hopRequest{}
	r.record.Fill(req.Context(), h)
	r.tally.Fill(&r.record, &h.tally)
	r.req = *req.WithContext(&r.tally)
	return &r.req
}

func newHopRecord(req *http.Request) *hopRecord {
	call, ok := reqctx.Record(req.Context()).(*callRecord)
	if !ok {
		recorder := recorderOf(req.Context())
		if recorder == nil {
			return nil
		}
		if call = redirectedCall(req, recorder); call == nil {
			call = recorder.start(req)
		}
	}
	return call.add(methodOf(req), urlTextOf(req, &call.url))
}

// redirectedCall returns the call that was redirected to req, or nil. An *http.Client gives each hop the context of the first request,
// so the call is found by way of req.Response.
func redirectedCall(req *http.Request, recorder *callRecorder) *callRecord {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	if c := callRecordOf(req.Response.Request.Context()); c != nil && c.recorder == recorder {
		return c
	}
	return nil
}

func (h *hopRecord) isOver() bool {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	return h.ended
}

// end notes how the hop ended; after that the hop does not change. The caller holds h.call.mu.
func (h *hopRecord) end(err error) {
	h.Err, h.ended = err, true
	h.tally.End()
}

func (h *hopRecord) failed(err error) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	h.Header.Duration = h.call.now() - h.Header.Start
	h.end(err)
}

func (h *hopRecord) responded(resp *http.Response, caches bool) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	h.Status = resp.StatusCode
	h.Header.Duration = h.call.now() - h.Header.Start
	if caches {
		h.Cache, h.CacheReason = cachestatus.Of(resp.Header)
	}
}

// watchBody records how the body ends. A response without a body ends its hop at once, and so does an upgrade, whose body is a connection.
func (h *hopRecord) watchBody(resp *http.Response) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if !hasBody(resp) || resp.StatusCode == http.StatusSwitchingProtocols {
		h.end(nil)
		return
	}
	h.Body.Start = h.Header.End()
	by := body.Watcher(h)
	if decoded := body.DecodedOf(resp.Body); decoded != nil {
		h.Decoded, _ = decoded.DecodedFrom()
		by = &decodedHop{h, decoded}
	}
	h.length = resp.ContentLength
	resp.Body = body.WatchBy(resp.Body, by, nil)
}

// decodedHop watches a decoded body for a hop. The hop does not refer to the body: a record that is kept would keep a dropped body from the garbage collector, and with it what waits for its end.
type decodedHop struct {
	hop  *hopRecord
	body body.Decoded
}

func (d *decodedHop) BodyRead(n int, err error) error {
	d.count()
	return d.hop.BodyRead(n, err)
}

func (d *decodedHop) BodyDone(err error) {
	d.count()
	d.hop.BodyDone(err)
}

func (d *decodedHop) count() {
	_, encoded := d.body.DecodedFrom()
	d.hop.call.mu.Lock()
	defer d.hop.call.mu.Unlock()
	if !d.hop.ended {
		d.hop.Encoded = encoded
	}
}

// BodyRead counts what is read of the response body.
func (h *hopRecord) BodyRead(n int, err error) error {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if !h.ended { // a Read may come back after Close
		h.Received += int64(n)
	}
	return err
}

// BodyDone ends the hop when the response body has ended.
func (h *hopRecord) BodyDone(err error) {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	if err == body.ErrClosed {
		h.ClosedEarly = h.length != h.Received
	}
	if err == io.EOF || err == body.ErrClosed {
		err = nil
	}
	h.CallHop.Body.Duration = h.call.now() - h.CallHop.Body.Start
	h.end(err)
}
