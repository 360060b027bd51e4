package ply

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// The context of a recorded call has one of these, by way of internal/reqctx, the further inside the later:
//
//	*asking     what WithCallInfo was asked for
//	*recording  the call, in the call layers of a Client
//	*hop        one of its hops, in the exchange layers
//	*exchange   one exchange, in the transport
//
// What finds a *hop that has ended begins a call of its own: somebody goes on with the context of an old request.

// asking is what WithCallInfo puts into a context.
type callRecorder struct {
	mu   sync.Mutex  // guards last
	last *callRecord // the call that has begun last
}

// recording is the record of a call.
type callRecord struct {
	recorder    *callRecorder
	start       time.Time
	method, url string // as it was asked for; the hops say what was sent
	redactor    *redact.Redactor

	mu      sync.Mutex // guards the fields below, those of the hops and those of their exchanges
	hops    []*hopRecord
	omitted int
	err     error
	total   time.Duration // if err is not nil
}

// maxParts bounds what is kept of a call with very many hops, and of a hop with very many exchanges.
const maxRecorded = 100

func (a *callRecorder) start(req *http.Request) *callRecord {
	r := redact.From(req.Context())
	c := &callRecord{recorder: a, start: time.Now(), method: methodOf(req), url: r.URL(req.URL), redactor: r}
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
func callRecordOf(ctx context.Context) *callRecord {
	switch part := reqctx.Record(ctx).(type) {
	case *callRecorder:
		part.mu.Lock()
		defer part.mu.Unlock()
		return part.last
	case *callRecord:
		return part
	case *hopRecord:
		return part.call
	case *exchangeRecord:
		return part.hop.call
	}
	return nil
}

// askedBy returns who wants a record of a call that begins with ctx; nil if nobody does, or if it is part of a call that is recorded already.
func recorderOf(ctx context.Context) *callRecorder {
	switch part := reqctx.Record(ctx).(type) {
	case *callRecorder:
		return part
	case *hopRecord:
		if part.isOver() {
			return part.call.recorder
		}
	case *exchangeRecord:
		if part.hop.isOver() {
			return part.hop.call.recorder
		}
	}
	return nil
}

// record performs a call of which somebody wants a record.
func (a *callRecorder) recordCall(req *http.Request, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	c := a.start(req)
	resp, err := do(req.WithContext(reqctx.WithRecord(req.Context(), c)))
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.total = err, c.now()
	}
	return resp, err
}

func (c *callRecord) now() time.Duration { return time.Since(c.start) }

func (c *callRecord) add(h *hopRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hops) == maxRecorded {
		c.omitted++
		return
	}
	c.hops = append(c.hops, h)
}
