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
	switch part := reqctx.Record(ctx).(type) {
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
	switch part := reqctx.Record(ctx).(type) {
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
	resp, err := do(req.WithContext(reqctx.WithRecord(req.Context(), c)))
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.total = err, c.now()
	}
	return resp, err
}

func (c *recording) now() time.Duration { return time.Since(c.start) }

func (c *recording) add(h *hop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hops) == maxParts {
		c.omitted++
		return
	}
	c.hops = append(c.hops, h)
}
