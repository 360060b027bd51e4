package retry

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
)

// call is one pass of a request through a layer. It is the context of its attempts.
//
// The fields up to mu belong to the goroutine in RoundTrip, and afterwards to the one that reads a resumable body.
type call struct {
	context.Context // the caller's

	next      http.RoundTripper
	opts      *Options
	coolDowns *coolDowns
	key       string
	req       *http.Request // the caller's
	start     time.Time     // of the call, that is of its first hop
	hops      int           // attempts that went to earlier hops
	spent     int           // those of them that were retries

	idempotent bool
	replayable bool
	idemKey    string  // to be added; "" if none
	buffer     *buffer // nil unless Options.BufferBody applies
	refund     func()  // for the last retry; nil if there is nothing to give back
	tried      Attempt // the last one
	failure    failure // what its error is, if it has one
	firstLeg   leg

	// running is true while the layer is at work: a layer that sees it is nested.
	running atomic.Bool

	mu       sync.Mutex // guards the fields below, which InfoFrom may read at any time
	outcomes []Outcome
	stop     Stop
	first    [1]Outcome // the room for outcomes of a call without retries
}

func newCall(h *handler, req *http.Request, o *Options, sc scope) *call {
	c := &call{
		Context:    req.Context(),
		next:       h.next,
		opts:       o,
		coolDowns:  h.coolDowns,
		key:        o.Key(req),
		req:        req,
		start:      time.Now(),
		idempotent: sc.idempotent || idempotent(req),
		replayable: replayable(req),
	}
	c.running.Store(true)
	prior := priorHop(req)
	if prior != nil {
		sent := prior.sent()
		c.start, c.hops, c.spent = prior.start, prior.hops+sent, prior.spent+max(0, sent-1)
	}
	if o.IdempotencyKey != nil {
		c.chooseKey(prior)
	}
	if !c.replayable && o.BufferBody > 0 && req.ContentLength <= o.BufferBody {
		c.buffer, c.replayable = newBuffer(req.Body, o.BufferBody), true
	}
	return c
}

// leave ends the part of the call that runs in RoundTrip.
func (c *call) leave() {
	c.running.Store(false)
	if c.buffer != nil {
		c.buffer.release()
	}
}

// priorHop returns the call that was redirected to req.
//
// http.Client puts the redirecting response into the request that follows it, and that response leads to its call,
// unless a layer between answered with a response of its own, as a cache does. Then a tally that is made for all hops may know.
func priorHop(req *http.Request) *call {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	if c := callOf(req.Response.Request.Context()); c != nil {
		return c
	}
	c, _ := attempt.Last(req.Context()).(*call)
	return c
}

type callKey struct{}

// Value makes the call found by those who have a context of its attempts.
func (c *call) Value(key any) any {
	switch key {
	case callKey{}, attempt.Key{}:
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// AttemptRecord is what other layers read.
func (c *call) AttemptRecord() attempt.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.outcomes)
	if c.stop == "" {
		n++ // the one under way
	}
	return attempt.Record{Number: n, Resends: max(0, c.hops+n-1), Stop: string(c.stop)}
}

func (c *call) note(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outcomes == nil {
		c.outcomes = c.first[:0]
	}
	c.outcomes = append(c.outcomes, o)
}

func (c *call) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.outcomes)
}

func (c *call) last() Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[len(c.outcomes)-1]
}

// stopped notes the end of the call, and tells those above who want to know.
func (c *call) stopped(why Stop) {
	c.mu.Lock()
	c.stop = why
	c.mu.Unlock()
	attempt.Report(c.Context, c)
}

func (c *call) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{Attempts: slices.Clone(c.outcomes), Earlier: c.hops, Spent: c.spent, Max: c.opts.MaxAttempts, Stop: c.stop}
}
