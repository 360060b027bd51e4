package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/body"
)

// try makes one attempt and records it in c.tried. The response is nil if the attempt failed.
// An error is that of Options.Prepare; then nothing was sent.
func (c *call) try(waited time.Duration) (*http.Response, error) {
	r, s := c.request(c)
	r.Body = s.trace.watched(c.body)
	if err := c.prepare(r); err != nil {
		return nil, err
	}
	return c.send(r, s, waited), nil
}

// request returns a copy of the caller's request in a context for one attempt.
func (c *call) request(ctx context.Context) (*http.Request, *attemptState) {
	s := c.newAttemptState()
	c.state = s
	r := c.req.WithContext(s.newContext(ctx))
	if c.idemKey != "" {
		ownHeader(r).Set("Idempotency-Key", c.idemKey)
	}
	return r, s
}

// ownHeader replaces the header of r by a copy, and returns it.
func ownHeader(r *http.Request) http.Header {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return r.Header
}

// prepare makes the last changes to a retry. It runs after the wait, because a signature contains the time.
func (c *call) prepare(r *http.Request) error {
	n := c.sent() + 1
	if n == 1 {
		return nil
	}
	if c.opts.AttemptHeader != "" {
		ownHeader(r).Set(c.opts.AttemptHeader, strconv.Itoa(n))
	}
	if c.opts.Prepare == nil {
		return nil
	}
	ownHeader(r)
	u := *r.URL
	r.URL = &u
	return c.opts.Prepare(r)
}

// send passes r to the next layer and records the outcome.
func (c *call) send(r *http.Request, s *attemptState, waited time.Duration) *http.Response {
	start := time.Now()
	s.begin(c.opts.AttemptTimeout)
	c.body, c.owed = nil, false
	resp, err := checked(c.next.RoundTrip(r))
	s.trace.kept = err != nil && saysUnsent(err)
	resp, err = s.onResponse(resp, err, c.opts.BodyTimeout)
	c.state, c.resp = nil, resp
	if resp != nil && resp.Request == nil {
		resp.Request = r
	}
	c.describe(r, s, resp, err, time.Since(start))
	if !c.tried.Wrote && s.trace.kept {
		c.notMade()
	}
	c.appendOutcome(Outcome{
		Status:   statusOf(resp),
		Err:      c.redactor().Error(err),
		Timeout:  c.failure == failureTimeout,
		Unsent:   !c.tried.Wrote,
		Wait:     waited,
		Duration: c.tried.Duration,
	})
	c.startCoolDown(resp)
	return resp
}

// describe sets c.tried, which the rules get, and c.failure.
func (c *call) describe(r *http.Request, s *attemptState, resp *http.Response, err error, took time.Duration) {
	a := Attempt{Request: r, Response: resp, Err: err, Number: c.sent() + 1, Idempotent: c.idempotent, Wrote: true, Duration: took}
	c.failure = failureUnknown
	if err != nil {
		c.failure = failureOf(err)
		if a.Wrote = !s.trace.unsent(r, err, c.failure); a.Wrote && c.failure.unsent() {
			c.failure = failureLost // the error is about another request: a redirect that a layer below followed, or a second server that it tried
		}
	}
	c.tried = a
}

var (
	errNothing = errors.New("retry: the next layer returned neither a response nor an error, against the contract of http.RoundTripper")
	errBoth    = errors.New("retry: the next layer returned a response together with an error, against the contract of http.RoundTripper")
)

// checked enforces the contract of http.RoundTripper: a response with a body, or an error.
func checked(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case resp == nil && err == nil:
		return nil, errNothing
	case resp != nil && err != nil:
		closeBody(resp.Body)
		return nil, errors.Join(err, errBoth)
	case resp != nil && resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, err
}

func statusOf(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

// attemptState is the context, the timeouts and the trace of one attempt.
type attemptState struct {
	trace trace

	// The context of an attempt with timeouts lives until the body of its response has ended. cancel is nil for one without.
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (c *call) newAttemptState() *attemptState {
	s := &c.firstAttempt
	if c.sent() > 0 {
		s = &attemptState{} // hooks of the first one may still fire late
	}
	if c.opts.AttemptTimeout > 0 || c.opts.BodyTimeout > 0 {
		s.cancel = func(error) {}
	}
	return s
}

// newContext returns the context of the attempt.
func (s *attemptState) newContext(ctx context.Context) context.Context {
	if s.cancel != nil {
		ctx, s.cancel = context.WithCancelCause(ctx)
	}
	s.ctx = s.trace.within(ctx)
	return s.ctx
}

// begin starts AttemptTimeout.
func (s *attemptState) begin(timeout time.Duration) {
	if timeout > 0 {
		s.timer = time.AfterFunc(timeout, func() { s.cancel(ErrAttemptTimeout) })
	}
}

// end releases the context of the attempt.
func (s *attemptState) end(cause error) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.cancel != nil {
		s.cancel(cause)
	}
}

// timedOut returns ErrAttemptTimeout or ErrBodyTimeout if that ended the attempt, and nil if not.
func (s *attemptState) timedOut() error {
	switch cause := context.Cause(s.ctx); cause {
	case ErrAttemptTimeout, ErrBodyTimeout:
		return cause
	}
	return nil
}

// onResponse stops AttemptTimeout, and makes the context live as long as the body.
func (s *attemptState) onResponse(resp *http.Response, err error, bodyTimeout time.Duration) (*http.Response, error) {
	if s.cancel == nil {
		return resp, err
	}
	if s.timer != nil && !s.timer.Stop() {
		s.cancel(ErrAttemptTimeout) // what the timer has begun to do, and may not have done yet
	}
	if late := s.timedOut(); late != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, late
	}
	switch {
	case err != nil, resp.Body == http.NoBody:
		s.end(nil) // there is no body to wait for
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// The body is a connection, whose end is not visible here. The context ends with the caller's.
	default:
		content := resp.Body
		if bodyTimeout > 0 {
			content = &idleTimeoutBody{ReadCloser: content, limit: bodyTimeout, state: s}
		}
		resp.Body = body.Watch(content, body.Hooks{Done: s.end})
	}
	return resp, err
}

// idleTimeoutBody is a body with a time limit for each Read.
type idleTimeoutBody struct {
	io.ReadCloser
	limit time.Duration
	timer *time.Timer
	state *attemptState
}

func (h *idleTimeoutBody) Read(p []byte) (int, error) {
	if h.timer == nil {
		h.timer = time.AfterFunc(h.limit, func() { h.state.cancel(ErrBodyTimeout) })
	} else {
		h.timer.Reset(h.limit)
	}
	n, err := h.ReadCloser.Read(p)
	h.timer.Stop()
	if err != nil && err != io.EOF {
		err = or(h.state.timedOut(), err)
	}
	return n, err
}
