package retry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// New returns a layer that sends a request again when that is safe and may help.
//
// A call that is not successful in the end returns the last response, intact, with a nil error; or an [*Error] if there is none.
// Options that fail [Options.Validate] make a layer that sends nothing and returns that error from each RoundTrip.
//
// The budget and the cool-down are made here: handlers that one New makes share them, as do all goroutines that use a handler.
// Responses belong to the caller, who closes their bodies as ever.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	bad := o.Validate()
	o = o.withDefaults()
	s := &state{}
	if o.Budget == nil {
		o.Budget = &TokenBucket{}
	}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{next: next, opts: &o, state: s, bad: bad}
	}
}

// state is what the handlers of one layer share.
type state struct{}

type handler struct {
	next  http.RoundTripper
	opts  *Options
	state *state
	bad   error
}

func (h *handler) LayerName() string         { return "retry" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

func (h *handler) CloseIdleConnections() {
	if c, ok := h.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	scope := scopeOf(req.Context())
	opts, err := h.optionsFor(scope)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if scope.disabled || passesThrough(req) || nested(req, opts) {
		return h.next.RoundTrip(req)
	}
	c := newCall(req, opts, h.state, scope)
	defer c.running.Store(false)
	return c.run(h.next)
}

func (h *handler) optionsFor(s scope) (*Options, error) {
	if h.bad != nil || s.options == nil {
		return h.opts, h.bad
	}
	if err := s.options.Validate(); err != nil {
		return nil, err
	}
	o := s.options.over(*h.opts)
	return &o, nil
}

// passesThrough is true for requests that turn the connection into something else.
func passesThrough(req *http.Request) bool {
	return req.Method == http.MethodConnect || len(req.Header["Upgrade"]) > 0
}

func nested(req *http.Request, o *Options) bool {
	if o.Nested {
		return false
	}
	outer := callOf(req.Context())
	return outer != nil && outer.running.Load()
}

func newCall(req *http.Request, o *Options, s *state, sc scope) *call {
	c := &call{
		Context:    req.Context(),
		opts:       o,
		state:      s,
		key:        o.Key(req),
		req:        req,
		start:      time.Now(),
		idempotent: sc.idempotent || idempotent(req),
		replayable: replayable(req),
	}
	c.running.Store(true)
	if prior := priorHop(req); prior != nil {
		c.start, c.hops = prior.start, prior.hops+prior.sent()
	}
	return c
}

// priorHop returns the call that was redirected to req.
// http.Client puts the redirecting response into the request that follows it.
func priorHop(req *http.Request) *call {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	return callOf(req.Response.Request.Context())
}

// run sends attempts until one is the answer. The order of what it does before a retry matters:
// everything that may stop the call comes before the response is dropped.
func (c *call) run(next http.RoundTripper) (*http.Response, error) {
	r := c.firstRequest()
	for wait := time.Duration(0); ; {
		resp, err := c.send(next, r, wait)
		plan := c.decide(resp)
		if plan.stop == "" {
			r, plan = c.again(plan)
		}
		if plan.stop != "" {
			return c.finish(resp, err, plan)
		}
		c.event(c.opts.OnRetry, plan.wait)
		drop(resp)
		if cause := c.sleep(plan.wait); cause != nil {
			closeBody(r)
			return c.finish(nil, err, plan.because(StopCanceled, cause))
		}
		if cause := c.prepare(r); cause != nil {
			closeBody(r)
			return c.finish(nil, err, plan.because(StopPrepare, cause))
		}
		wait = plan.wait
	}
}

// plan is what follows an attempt: a wait and another attempt, or a stop.
type plan struct {
	wait  time.Duration
	stop  Stop
	cause error // of stopping; nil when stop says it all
}

func (p plan) because(stop Stop, cause error) plan {
	p.stop, p.cause = stop, cause
	return p
}

// firstRequest is the caller's request with the call as its context.
func (c *call) firstRequest() *http.Request {
	return c.req.WithContext(c)
}

// again returns the request of the next attempt, with a body of its own.
func (c *call) again(p plan) (*http.Request, plan) {
	r := c.req.WithContext(c)
	if hasBody(c.req) {
		body, err := c.req.GetBody()
		if err != nil {
			return nil, p.because(StopBody, err)
		}
		r.Body = body
	}
	return r, p
}

// prepare makes the last changes to a retry, after the wait: a signature has a time in it.
func (c *call) prepare(r *http.Request) error {
	if c.opts.AttemptHeader == "" && c.opts.Prepare == nil {
		return nil
	}
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if c.opts.AttemptHeader != "" {
		r.Header.Set(c.opts.AttemptHeader, strconv.Itoa(c.sent()+1))
	}
	if c.opts.Prepare == nil {
		return nil
	}
	u := *r.URL
	r.URL = &u
	return c.opts.Prepare(r)
}

// send makes one attempt and notes its outcome.
func (c *call) send(next http.RoundTripper, r *http.Request, wait time.Duration) (*http.Response, error) {
	c.traced = nil
	if c.replayable && (!c.idempotent || len(c.opts.Rules) > 0) {
		c.traced = &probe{}
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), c.traced.hooks()))
	}
	start := time.Now()
	resp, err := next.RoundTrip(r)
	resp, err = checked(resp, err)
	if resp != nil && resp.Request == nil {
		resp.Request = r
	}
	c.describe(r, resp, err, time.Since(start))
	c.note(Outcome{
		Status:   statusOf(resp),
		Err:      err,
		Timeout:  c.tried.failure == failureTimeout,
		Unsent:   err != nil && !c.tried.Wrote,
		Wait:     wait,
		Duration: c.tried.Duration,
	})
	return resp, err
}

var (
	errNothing = errors.New("retry: the next layer returned neither a response nor an error: it breaks the contract of http.RoundTripper")
	errBoth    = errors.New("retry: the next layer returned a response together with an error: it breaks the contract of http.RoundTripper")
)

// checked holds the next layer to the contract: a response or an error.
func checked(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case resp == nil && err == nil:
		return nil, errNothing
	case resp != nil && err != nil:
		if resp.Body != nil {
			resp.Body.Close()
		}
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

// describe puts together what the rules may know.
func (c *call) describe(r *http.Request, resp *http.Response, err error, took time.Duration) {
	a := Attempt{Request: r, Response: resp, Err: err, Number: c.sent() + 1, Idempotent: c.idempotent, Wrote: true, Duration: took}
	if err != nil {
		a.failure = failureOf(err)
		a.Wrote = a.failure != failureUnsent && !c.traced.unsent()
	}
	c.tried = a
}

// probe watches whether a request leaves.
type probe struct {
	asked, wrote atomic.Bool
	trace        httptrace.ClientTrace
}

func (p *probe) hooks() *httptrace.ClientTrace {
	p.trace.GetConn = func(string) { p.asked.Store(true) }
	p.trace.WroteHeaders = func() { p.wrote.Store(true) }
	return &p.trace
}

// unsent is true if a transport that takes part in httptrace looked for a connection and never wrote the header to one.
// The silence of a transport that does not take part proves nothing.
func (p *probe) unsent() bool {
	return p != nil && p.asked.Load() && !p.wrote.Load()
}

// decide says what follows the last attempt.
func (c *call) decide(resp *http.Response) plan {
	if resp != nil && resp.StatusCode < 400 && len(c.opts.Rules) == 0 {
		return plan{stop: StopDone} // what Default says, without asking
	}
	if cause := c.Context.Err(); cause != nil {
		return plan{stop: StopCanceled, cause: cause}
	}
	if judge(&c.tried, c.opts.Rules) != Yes {
		return plan{stop: c.whyNot()}
	}
	if !c.replayable {
		return plan{stop: StopBody}
	}
	if c.hops+c.sent() >= c.opts.MaxAttempts {
		return plan{stop: StopAttempts}
	}
	return c.schedule(resp)
}

// whyNot names the reason behind a No.
func (c *call) whyNot() Stop {
	a := c.tried
	a.Idempotent = true
	switch wanted := Default(&a) == Yes; {
	case wanted && !c.tried.Idempotent && judge(&a, c.opts.Rules) == Yes:
		return StopMethod
	case wanted:
		return StopRule
	case a.Err != nil:
		return StopFatal
	}
	return StopDone
}

// schedule finds the wait before the next attempt, and whether it fits and can be paid for.
func (c *call) schedule(resp *http.Response) plan {
	now := time.Now()
	last := c.last()
	wait := max(0, c.opts.Backoff(c.sent(), last))
	if asked, ok := c.asked(resp, now); ok {
		if asked > c.opts.MaxRetryAfter {
			return plan{stop: StopRetryAfter}
		}
		wait = max(wait, asked+below(asked/10))
	}
	if !c.fits(now.Add(wait)) {
		return plan{stop: StopDeadline, cause: context.DeadlineExceeded}
	}
	refund, ok := c.opts.Budget.Allow(c.key, last)
	if !ok {
		return plan{stop: StopBudget}
	}
	c.refund = refund
	return plan{wait: wait}
}

func (c *call) last() Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[len(c.outcomes)-1]
}

func (c *call) asked(resp *http.Response, now time.Time) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	return serverDelay(resp.Header, now, c.opts.RateLimitReset)
}

// fits reports whether an attempt that starts at the given time has a chance.
func (c *call) fits(at time.Time) bool {
	at = at.Add(c.opts.MinAttemptTime)
	if deadline, ok := c.Deadline(); ok && !at.Before(deadline) {
		return false
	}
	return c.opts.MaxElapsed == 0 || !at.After(c.start.Add(c.opts.MaxElapsed))
}

// sleep waits, or returns the error of the caller's context.
func (c *call) sleep(d time.Duration) error {
	if d <= 0 {
		return c.Context.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Done():
		return c.Context.Err()
	}
}

// finish ends the call.
func (c *call) finish(resp *http.Response, err error, p plan) (*http.Response, error) {
	c.stopped(p.stop)
	c.settle(resp)
	if p.stop != StopDone {
		c.event(c.opts.OnGiveUp, 0)
	}
	if resp != nil {
		return resp, nil
	}
	return nil, c.newError(err, p.stop, p.cause)
}

// settle tells the budget of a success.
func (c *call) settle(resp *http.Response) {
	switch {
	case resp == nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
	case c.refund != nil:
		c.refund()
	case c.sent() == 1:
		c.opts.Budget.Success(c.key)
	}
}

func (c *call) event(hook func(context.Context, Event), wait time.Duration) {
	if hook != nil {
		hook(c.Context, Event{Attempt: c.tried, Wait: wait, Info: c.info()})
	}
}
