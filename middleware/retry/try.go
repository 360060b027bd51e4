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

// try makes one attempt after a wait that is over. What came of it is in c.tried; the response is nil if it failed.
// The error is that of Options.Prepare: nothing was sent then.
func (c *call) try(content io.ReadCloser, waited time.Duration) (*http.Response, error) {
	r, l := c.request(c)
	r.Body = l.trace.watched(content)
	if err := c.prepare(r); err != nil {
		l.end(nil)
		closeBody(content)
		return nil, err
	}
	return c.send(r, l, waited), nil
}

// request returns a copy of the caller's request in a context for one attempt.
func (c *call) request(ctx context.Context) (*http.Request, *leg) {
	l := c.newLeg()
	r := c.req.WithContext(l.within(ctx))
	if c.idemKey != "" {
		ownHeader(r).Set("Idempotency-Key", c.idemKey)
	}
	return r, l
}

// ownHeader gives r a header that may be written to.
func ownHeader(r *http.Request) http.Header {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return r.Header
}

// prepare makes the last changes to a retry, after the wait: a signature has a time in it.
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

// send passes r on and notes what comes of it.
func (c *call) send(r *http.Request, l *leg, waited time.Duration) *http.Response {
	start := time.Now()
	l.begin(c.opts.AttemptTimeout)
	resp, err := checked(c.next.RoundTrip(r))
	resp, err = l.arrived(resp, err, c.opts.BodyTimeout)
	if resp != nil && resp.Request == nil {
		resp.Request = r
	}
	c.describe(r, l, resp, err, time.Since(start))
	c.note(Outcome{
		Status:   statusOf(resp),
		Err:      c.redactor().Error(err),
		Timeout:  c.failure == failureTimeout,
		Unsent:   !c.tried.Wrote,
		Wait:     waited,
		Duration: c.tried.Duration,
	})
	c.heat(resp)
	return resp
}

// describe puts together what the rules may know.
func (c *call) describe(r *http.Request, l *leg, resp *http.Response, err error, took time.Duration) {
	a := Attempt{Request: r, Response: resp, Err: err, Number: c.sent() + 1, Idempotent: c.idempotent, Wrote: true, Duration: took}
	c.failure = failureUnknown
	if err != nil {
		c.failure = failureOf(err)
		if a.Wrote = !l.trace.unsent(r, err, c.failure); a.Wrote && c.failure.unsent() {
			c.failure = failureLost // it says so of something else: a redirect that a layer below has followed, a second way that it tried
		}
	}
	c.tried = a
}

var (
	errNothing = errors.New("retry: the next layer returned neither a response nor an error, against the contract of http.RoundTripper")
	errBoth    = errors.New("retry: the next layer returned a response together with an error, against the contract of http.RoundTripper")
)

// checked holds the next layer to the contract: a response with a body, or an error.
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

// leg watches one attempt: how long nothing comes. Its trace sees whether the request leaves.
type leg struct {
	trace trace

	// The context of an attempt with timeouts lives until the body of its response has ended.
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (c *call) newLeg() *leg {
	l := &c.firstLeg
	if c.sent() > 0 {
		l = &leg{} // hooks of the first one may still fire
	}
	if c.opts.AttemptTimeout > 0 || c.opts.BodyTimeout > 0 {
		l.cancel = func(error) {}
	}
	return l
}

// within returns the context of the attempt.
func (l *leg) within(ctx context.Context) context.Context {
	if l.cancel != nil {
		ctx, l.cancel = context.WithCancelCause(ctx)
	}
	l.ctx = l.trace.within(ctx)
	return l.ctx
}

// begin starts the time for the header of the response.
func (l *leg) begin(timeout time.Duration) {
	if timeout > 0 {
		l.timer = time.AfterFunc(timeout, func() { l.cancel(ErrAttemptTimeout) })
	}
}

// end releases the context of the attempt.
func (l *leg) end(cause error) {
	if l.cancel != nil {
		l.cancel(cause)
	}
}

// ranOut returns the timeout that ended the attempt, and nil if none of ours did.
func (l *leg) ranOut() error {
	switch cause := context.Cause(l.ctx); cause {
	case ErrAttemptTimeout, ErrBodyTimeout:
		return cause
	}
	return nil
}

// arrived stops the time for the header, and makes the context last as long as the body does.
func (l *leg) arrived(resp *http.Response, err error, bodyTimeout time.Duration) (*http.Response, error) {
	if l.cancel == nil {
		return resp, err
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if late := l.ranOut(); late != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, late
	}
	switch {
	case err != nil, resp.Body == http.NoBody:
		l.end(nil) // a body that is none has ended
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// The body is a connection, whose end is not ours to see. The context ends with the caller's.
	default:
		content := resp.Body
		if bodyTimeout > 0 {
			content = &hurried{ReadCloser: content, limit: bodyTimeout, leg: l}
		}
		resp.Body = body.Watch(content, body.Hooks{Done: l.end})
	}
	return resp, err
}

// hurried is a body each Read of which has a time limit.
type hurried struct {
	io.ReadCloser
	limit time.Duration
	timer *time.Timer
	leg   *leg
}

func (h *hurried) Read(p []byte) (int, error) {
	if h.timer == nil {
		h.timer = time.AfterFunc(h.limit, func() { h.leg.cancel(ErrBodyTimeout) })
	} else {
		h.timer.Reset(h.limit)
	}
	n, err := h.ReadCloser.Read(p)
	h.timer.Stop()
	if err != nil && err != io.EOF {
		err = or(h.leg.ranOut(), err)
	}
	return n, err
}
