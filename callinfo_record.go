package ply

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// The context of a recorded call has one of these under reqctx.Record, depending on how far inside the chain it is:
//
//	*callRecorder    from WithCallInfo, outside a call
//	*callRecord      the call, in the call layers of a Client
//	*hopRecord       one of its hops, in the exchange layers
//	*exchangeRecord  one exchange, in the transport
//
// A call that begins with the context of a hop that has ended is a new call, with a record of its own.

// callRecorder is what WithCallInfo puts into a context. It makes the records of the calls that begin with that context.
type callRecorder struct {
	mu   sync.Mutex  // guards last
	last *callRecord // the call that has begun last
}

// callRecord is the record of a call.
type callRecord struct {
	recorder    *callRecorder
	start       time.Time
	method, url string // of the caller's request; the hops have what was sent
	redactor    *redact.Redactor

	mu      sync.Mutex // guards the fields below, those of the hops and those of their exchanges
	hops    []*hopRecord
	omitted int
	err     error
	total   time.Duration // if err is not nil
}

// maxRecorded bounds the hops that are kept of a call, and the exchanges that are kept of a hop.
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

// callRecordOf returns the record of the call that ctx belongs to, or nil.
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

// recorderOf returns the recorder for a call that begins with ctx, or nil: no record is wanted, or ctx belongs to a recorded call that goes on.
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

// recordCall performs a call and records it.
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
