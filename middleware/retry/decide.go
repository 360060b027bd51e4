package retry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/retryafter"
	"github.com/plyhttp/ply/internal/timeout"
)

// plan is what follows an attempt: a wait and another attempt, or the end of the call.
type plan struct {
	wait  time.Duration
	stop  Stop
	cause error // of the stop; nil if there is none beyond stop
	gone  bool  // the caller's context is done
}

// gone is the plan for a caller whose context is done: its deadline has passed, or it was canceled.
func gone(cause error) plan {
	if errors.Is(cause, context.DeadlineExceeded) {
		return plan{stop: StopDeadline, cause: cause, gone: true}
	}
	return plan{stop: StopCanceled, cause: cause, gone: true}
}

// decide returns what follows the last attempt.
func (c *call) decide(resp *http.Response) plan {
	if resp != nil && resp.StatusCode < 400 && len(c.opts.Rules) == 0 {
		return plan{stop: StopDone} // the answer of DefaultRule
	}
	if cause := over(c); cause != nil {
		return gone(cause)
	}
	if timeout.NoTimeLeft(c.tried.Err) {
		return plan{stop: StopDeadline, cause: context.DeadlineExceeded} // a limiter below reports that no attempt fits
	}
	if v, ruled := judge(&c.tried, c.opts.Rules); v != Retry {
		return plan{stop: c.whyNot(ruled)}
	}
	if !c.replayable {
		return plan{stop: StopBody}
	}
	if c.spent+c.sent() >= c.opts.MaxAttempts {
		return plan{stop: StopAttempts}
	}
	return c.schedule(resp, c.sent())
}

// whyNot returns the reason for the verdict Final.
func (c *call) whyNot(ruled bool) Stop {
	a := c.tried
	a.Idempotent = true
	switch wanted := DefaultRule(&a) == Retry; {
	case wanted && ruled:
		return StopRule
	case wanted:
		return StopMethod
	case a.Err != nil:
		return StopFatal
	case a.Response.StatusCode == http.StatusMisdirectedRequest:
		return StopAttempts
	}
	return StopDone
}

// schedule plans retry n: its wait, or a stop if the wait does not fit or the budget does not allow the retry.
func (c *call) schedule(resp *http.Response, n int) plan {
	now := time.Now()
	last := c.last()
	wait := max(0, c.opts.Backoff(n, last))
	if asked, ok := c.asked(resp, now); ok {
		if asked > c.opts.MaxRetryAfter {
			return plan{stop: StopRetryAfter}
		}
		wait = max(wait, asked+below(min(asked/10, math.MaxInt64-asked)))
	}
	if !c.fits(now.Add(wait)) {
		return plan{stop: StopDeadline, cause: context.DeadlineExceeded}
	}
	refund, ok := c.opts.Budget.Allow(c.key, last)
	if !ok {
		return plan{stop: StopBudget}
	}
	c.paid, c.owed, c.refund = true, true, refund
	return plan{wait: wait}
}

// RetryAfter returns how long the server asks to wait before the next request, by Retry-After in seconds or as a date (RFC 9110 §10.2.3),
// or by a field that some servers send in its place. It reports false if the server does not ask. Other layers can use it to read a response as this layer does.
func RetryAfter(resp *http.Response) (time.Duration, bool) {
	return retryafter.Delay(resp.Header, time.Now())
}

// asked returns how long the server asks to wait, and whether it asks.
func (c *call) asked(resp *http.Response, now time.Time) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	if d, ok := retryafter.Delay(resp.Header, now); d > 0 || !c.opts.RateLimitReset {
		return d, ok
	}
	return retryafter.Reset(resp.Header, now)
}

// fits reports whether an attempt that starts at the given time has MinAttemptTime left before the deadline, and is within MaxElapsed.
func (c *call) fits(at time.Time) bool {
	at = at.Add(c.opts.MinAttemptTime)
	if deadline, ok := c.Deadline(); ok && !at.Before(deadline) {
		return false
	}
	return c.opts.MaxElapsed == 0 || !at.After(c.start.Add(c.opts.MaxElapsed))
}

// sleep waits for d. It returns the error of the context if that is done first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return over(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return over(ctx)
	}
}

// over returns why ctx is done, or nil if it is not. The error matches both ctx.Err and the cause, so that callers can recognize a particular timeout.
func over(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) { // also if both are nil
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
