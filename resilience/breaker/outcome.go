package breaker

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// The outcomes of a request that did not succeed, for gobreaker.
var (
	errFailed    = errors.New("failed")
	errUncounted = errors.New("says nothing of the server")
)

// outcome says what a request says of its server: nil for success, errFailed, or errUncounted.
func (b *Breaker) outcome(req *http.Request, resp *http.Response, err error, took time.Duration) error {
	if err != nil && (unsent(err) || callerGaveUp(req.Context(), err, took < b.opts.MinTimeout)) {
		return errUncounted
	}
	if err == nil && resp == nil {
		return errUncounted // against the contract of http.RoundTripper
	}
	// What would be tried again if it could be is a failure, whatever the method. An error that is final for any request, as a bad certificate is, is not counted:
	// an open breaker would hide it behind stale responses.
	a := &retry.Attempt{Request: req, Response: resp, Err: err, Number: 1, Idempotent: true, Duration: took}
	switch b.judge(a) {
	case retry.Retry:
		return errFailed
	case retry.Final:
		if err != nil {
			return errUncounted
		}
	}
	return nil
}

func (b *Breaker) judge(a *retry.Attempt) retry.Verdict {
	for _, rule := range b.opts.Rules {
		if v := rule(a); v != retry.Undecided {
			return v
		}
	}
	return retry.DefaultRule(a)
}

// unsent reports whether a layer below did not hand the request on, as a limit that is full.
func unsent(err error) bool {
	var says interface{ Unsent() bool }
	return errors.As(err, &says) && says.Unsent()
}

// callerGaveUp reports whether err came because the caller, or a layer above, wanted no answer any more. A deadline is the server's failure, unless it was a hasty one.
// The time that retry.Options.AttemptTimeout sets is never hasty.
func callerGaveUp(ctx context.Context, err error, hasty bool) bool {
	if ctx.Err() == nil {
		return false
	}
	switch {
	case errors.Is(context.Cause(ctx), retry.ErrAttemptTimeout):
		return false
	case layer.OutOfTime(ctx):
		return hasty
	}
	return true
}
