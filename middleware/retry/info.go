package retry

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/redact"
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
	StopDeadline   Stop = "deadline"       // the wait does not fit before the deadline of the caller, or Options.MaxElapsed; or the deadline has passed
	StopCanceled   Stop = "canceled"       // the caller's context is done, and not for its deadline
	StopCoolDown   Stop = "cool-down"      // the server asked another call for time that this one does not have
	StopPrepare    Stop = "prepare"        // Options.Prepare failed
	StopRule       Stop = "rule"           // a rule of Options.Rules said No to a failure
)

// Outcome is how one attempt ended.
type Outcome struct {
	Status   int           // of the response; zero means that there was none
	Err      error         // nil with a response; its text has no secret
	Timeout  bool          // no answer in time
	Unsent   bool          // the request provably never left
	Wait     time.Duration // before the attempt
	Duration time.Duration // to the response's header, or to the error
}

// MarshalJSON encodes the outcome with the text of its error.
func (o Outcome) MarshalJSON() ([]byte, error) {
	type plain Outcome
	return json.Marshal(struct {
		plain
		Err string `json:",omitempty"`
	}{plain(o), redact.ErrorText(o.Err)})
}

// Info is what happened to a call in a retry layer.
type Info struct {
	Attempts []Outcome // in order; without the current attempt while that is under way
	Earlier  int       // attempts that went to earlier hops of a redirected call
	Spent    int       // those of them that were retries
	Max      int       // Options.MaxAttempts as it applied
	Stop     Stop      // "" while the call is under way
}

// Resends returns how often the call was sent again, redirects included.
func (i Info) Resends() int { return max(0, i.Earlier+len(i.Attempts)-1) }

// Retries returns how many attempts were retries, those of earlier hops included.
func (i Info) Retries() int { return i.Spent + max(0, len(i.Attempts)-1) }

// InfoFrom returns what the retry layer did for resp, and whether there was such a layer.
// It reads resp.Request, and so works on any response that came through the layer, in any client. A cache outside the layer
// answers with a response of its own, of which InfoFrom knows nothing: see [WithInfo].
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

// WithInfo returns a context, and a function that tells what the retry layer did for the last call made with it, if it did anything.
// Unlike [InfoFrom] it knows of calls that failed, and of those that a cache outside the layer answered with a response of its own.
// It is for one call at a time, as a layer makes it: when the call has returned, info is complete. Either may be used by any goroutine.
func WithInfo(ctx context.Context) (_ context.Context, info func() (Info, bool)) {
	ctx, tally := attempt.WithTally(ctx)
	return ctx, func() (Info, bool) {
		c, ok := tally.Reporter().(*call)
		if !ok {
			return Info{}, false
		}
		return c.info(), true
	}
}

// Event is what the hooks of [Options] get to see.
type Event struct {
	Attempt Attempt       // the last one
	Wait    time.Duration // before the next one; zero when giving up
	Info    Info
}
