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

// Stop is the reason why no further attempt followed the last one.
type Stop string

// The reasons to stop. All but StopDone leave a failure.
const (
	StopDone       Stop = "done"           // a response that asks for no retry
	StopFatal      Stop = "fatal"          // an error that another attempt would meet again, or that nothing is known of
	StopMethod     Stop = "not idempotent" // the server may have done the work, and the method forbids doing it twice
	StopBody       Stop = "body"           // the request body cannot be sent again
	StopAttempts   Stop = "attempts"       // Options.MaxAttempts
	StopBudget     Stop = "budget"         // Options.Budget
	StopRetryAfter Stop = "retry-after"    // the server asks for a longer wait than Options.MaxRetryAfter
	StopDeadline   Stop = "deadline"       // the wait does not fit before the deadline of the caller, or Options.MaxElapsed
	StopCanceled   Stop = "canceled"       // the caller's context is done
	StopPrepare    Stop = "prepare"        // Options.Prepare failed
	StopRule       Stop = "rule"           // a rule of Options.Rules said No to a failure
)

// Outcome is how one attempt ended.
type Outcome struct {
	Status   int           // of the response; zero means that there was none
	Err      error         // nil with a response
	Timeout  bool          // no answer in time
	Unsent   bool          // the request provably never left
	Wait     time.Duration // before the attempt
	Duration time.Duration // to the response's header, or to the error
}

// Info is what happened to a call in a retry layer.
type Info struct {
	Attempts []Outcome // in order; without the current attempt while that is under way
	Earlier  int       // attempts that went to earlier hops of a redirected call
	Max      int       // Options.MaxAttempts as it applied
	Stop     Stop      // "" while the call is under way
}

// Resends returns how often the call was sent again, redirects included.
func (i Info) Resends() int { return max(0, i.Earlier+len(i.Attempts)-1) }

// InfoFrom returns what the retry layer did for resp, and whether there was such a layer.
// It reads resp.Request, and so works on any response that came through the layer, in any client.
func InfoFrom(resp *http.Response) (Info, bool) {
	if resp == nil || resp.Request == nil {
		return Info{}, false
	}
	return InfoFromContext(resp.Request.Context())
}

// InfoFromContext returns the same for a request seen below the layer, where the current attempt is still under way:
// its number is len(Attempts)+1.
func InfoFromContext(ctx context.Context) (Info, bool) {
	c := callOf(ctx)
	if c == nil {
		return Info{}, false
	}
	return c.info(), true
}

// Event is what the hooks of [Options] get to see.
type Event struct {
	Attempt Attempt       // the last one
	Wait    time.Duration // before the next one; zero when giving up
	Info    Info
}

// call is one pass of a request through a layer.
type call struct {
	context.Context // the caller's; a call is the context of its attempts

	opts  *Options
	state *state
	key   string
	req   *http.Request // the caller's
	start time.Time     // of the call, that is of its first hop
	hops  int           // attempts that went to earlier hops

	idempotent bool
	replayable bool
	idemKey    string // generated; "" if none
	buffer     *buffer
	refund     func()

	tried  Attempt // the last one
	traced *probe  // of the last one; nil if not traced

	// running is true while RoundTrip is at work: a layer that sees it is nested.
	running atomic.Bool

	mu       sync.Mutex // guards the fields below, which InfoFrom may read at any time
	outcomes []Outcome
	stop     Stop
	first    [1]Outcome // the room for outcomes of a call without retries
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

// AttemptRecord is what other layers read.
func (c *call) AttemptRecord() attempt.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.outcomes)
	if c.stop == "" {
		n++ // the one under way
	}
	return attempt.Record{Number: n, Resends: c.hops + n - 1, Stop: string(c.stop)}
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
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

func (c *call) stopped(why Stop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = why
}

func (c *call) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Info{Attempts: slices.Clone(c.outcomes), Earlier: c.hops, Max: c.opts.MaxAttempts, Stop: c.stop}
}
