package retry

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/redact"
)

// Stop is the reason why no attempt followed the last one.
type Stop string

// The reasons to stop. All except StopDone are failures.
const (
	StopDone       Stop = "done"           // a response that asks for no retry
	StopFatal      Stop = "fatal"          // an error that another attempt would meet again, or an unknown one
	StopMethod     Stop = "not idempotent" // the server may have done the work, and the method forbids doing it twice
	StopBody       Stop = "body"           // the request body cannot be sent again
	StopAttempts   Stop = "attempts"       // Options.MaxAttempts
	StopBudget     Stop = "budget"         // Options.Budget
	StopRetryAfter Stop = "retry-after"    // the server asks for a longer wait than Options.MaxRetryAfter
	StopDeadline   Stop = "deadline"       // the wait does not fit before the deadline of the caller, or Options.MaxElapsed; or the deadline has passed
	StopCanceled   Stop = "canceled"       // the caller's context is done, and not for its deadline
	StopCoolDown   Stop = "cool-down"      // the server asked another call to wait longer than this one can
	StopPrepare    Stop = "prepare"        // Options.Prepare failed
	StopRule       Stop = "rule"           // a rule of Options.Rules made a failure Final
)

// Outcome is how one attempt ended.
type Outcome struct {
	Status   int           // of the response; zero means that there was none
	Err      error         // nil with a response; its text has no secret
	Timeout  bool          // no answer in time
	Unsent   bool          // the request was provably not written
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

// Info describes what a retry layer did for a call.
type Info struct {
	Attempts []Outcome // in order, without an attempt in progress
	Earlier  int       // attempts that went to earlier hops of a redirected call
	Spent    int       // those of them that were retries
	Max      int       // Options.MaxAttempts as it applied
	Stop     Stop      // "" while the call is in progress
}

// Resends returns how often the call was sent again, redirects included.
func (i Info) Resends() int { return max(0, i.Earlier+len(i.Attempts)-1) }

// Retries returns how many attempts were retries, those of earlier hops included.
func (i Info) Retries() int { return i.Spent + max(0, len(i.Attempts)-1) }

// InfoFrom returns what the retry layer did for resp. It reports false if there was no such layer.
// It reads resp.Request, and so works on any response that came through the layer, in any client. It does not work on the response
// of a cache outside the layer; see [WithInfo].
func InfoFrom(resp *http.Response) (Info, bool) {
	if resp == nil || resp.Request == nil {
		return Info{}, false
	}
	return InfoFromContext(resp.Request.Context())
}

// InfoFromContext returns what the retry layer has done so far, for the context of a request below the layer.
// The number of the current attempt is len(Attempts)+1.
func InfoFromContext(ctx context.Context) (Info, bool) {
	c := callOf(ctx)
	if c == nil {
		return Info{}, false
	}
	return c.info(), true
}

// WithInfo returns a context, and a function that returns what the retry layer did for the last call made with it.
// info reports false if no retry layer took part. Unlike [InfoFrom] it covers calls that failed, and those that a cache outside the layer answered.
// Use a context for one call at a time: info is complete when the call has returned. Both are safe for concurrent use.
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

// Event is what the hooks of [Options] get.
type Event struct {
	Attempt Attempt       // the last one
	Wait    time.Duration // before the next one; zero when giving up
	Info    Info          // of the call so far
}
