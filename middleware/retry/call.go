package retry

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
)

// call is one request on its way through the layer. It is the context of its attempts.
//
// The goroutine in RoundTrip owns the fields before mu; after RoundTrip has returned, the goroutine that reads a resumable body does.
type call struct {
	context.Context // the caller's

	next      http.RoundTripper
	opts      *Options
	coolDowns *coolDowns
	key       string
	req       *http.Request // the caller's
	start     time.Time     // of the first hop
	hops      int           // attempts that went to earlier hops
	spent     int           // those of them that were retries

	idempotent   bool
	replayable   bool
	idemKey      string  // to be added; "" if none
	buffer       *buffer // nil unless Options.BufferBody applies
	paid         bool    // for the last retry, which may not have been made yet
	owed         bool    // it has not: the next layer has not got it
	refund       func()  // of what was paid; nil if there is nothing to give back
	tried        Attempt // the last one
	failure      failure // what its error is, if it has one
	firstAttempt attemptState

	// What the call holds until it passes it on. See letGo.
	body  io.ReadCloser  // of the next attempt
	state *attemptState  // of the attempt under way
	resp  *http.Response // of the last attempt

	// running is true during RoundTrip and while a body is being resumed. A layer that finds it true in a context is nested.
	running atomic.Bool

	mu       sync.Mutex // guards the fields below, which InfoFrom may read at any time
	outcomes []Outcome
	stop     Stop
	first    [1]Outcome // saves an allocation for a call without retries
}

func newCall(h *handler, req *http.Request, o *Options, sc scope) *call {
	c := &call{
		Context:    req.Context(),
		next:       h.next,
		opts:       o,
		coolDowns:  h.coolDowns,
		req:        req,
		start:      time.Now(),
		idempotent: sc.idempotent || idempotent(req),
		replayable: replayable(req),
		body:       req.Body,
	}
	c.running.Store(true)
	return c
}

// begin asks the hooks that a call begins with. They may panic.
func (c *call) begin() {
	o, req := c.opts, c.req
	c.key = o.Key(req)
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
		c.body, _ = c.buffer.view() // nothing has been read yet, so it cannot have overflowed
	}
}

// onReturn is called when RoundTrip returns.
func (c *call) onReturn() {
	c.running.Store(false)
	c.letGo()
	if c.buffer != nil {
		c.buffer.release()
	}
}

// priorHop returns the call that was redirected to req.
//
// http.Client puts the redirecting response into the next request. The context of that response leads to its call,
// unless a layer in between, such as a cache, answered with a response of its own. Then the tally of the whole client call has it, if there is one.
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

// Value returns the call itself for its keys, so that the context of an attempt leads to the call.
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

// AttemptRecord returns the number of attempts and the reason to stop, for other layers.
func (c *call) AttemptRecord() attempt.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.outcomes)
	if c.stop == "" {
		n++ // the current one
	}
	return attempt.Record{Number: n, Resends: max(0, c.hops+n-1), Stop: string(c.stop)}
}

func (c *call) appendOutcome(o Outcome) {
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

// stopped records the end of the call, and reports it to the layers above.
func (c *call) stopped(why Stop) {
	c.mu.Lock()
	c.stop = why
	c.mu.Unlock()
	attempt.Report(c.Context, c)
}

// swapStop changes why the call has stopped, and returns why it had. "" is a call under way.
func (c *call) swapStop(why Stop) (before Stop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.stop = c.stop, why
	return before
}

func (c *call) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{Attempts: slices.Clone(c.outcomes), Earlier: c.hops, Spent: c.spent, Max: c.opts.MaxAttempts, Stop: c.stop}
}
