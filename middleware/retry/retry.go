package retry

import (
	"context"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/drain"
)

// New returns a layer that sends a request again when that is safe and may help.
//
// A call that is not successful in the end returns the last response, intact, with a nil error; or an [*Error] if there is none.
// Options that fail [Options.Validate] make a layer that sends nothing and returns that error from each RoundTrip; ply.New refuses it.
//
// The budget and the cool-downs are made here: the handlers that one New makes share them, as do all goroutines that use a handler.
// Responses belong to the caller, who closes their bodies as ever.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	bad := o.Validate()
	o = o.withDefaults()
	if o.Budget == nil {
		o.Budget = &TokenBucket{}
	}
	s := &coolDowns{}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{next: next, opts: &o, coolDowns: s, bad: bad}
	}
}

type handler struct {
	next      http.RoundTripper
	opts      *Options
	coolDowns *coolDowns
	bad       error
}

func (h *handler) LayerName() string         { return "retry" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

// WrappedRoundTripper returns it, too, for Kubernetes.
func (h *handler) WrappedRoundTripper() http.RoundTripper { return h.next }

// OptionsError returns what is wrong with the options, nil if nothing is: ply.New and ply.Wrap refuse such a layer.
func (h *handler) OptionsError() error { return h.bad }

func (h *handler) CloseIdleConnections() {
	if c, ok := h.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	scope := scopeOf(req.Context())
	opts, err := h.optionsFor(scope)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	if scope.disabled || passesThrough(req) || nested(req, opts) {
		return h.next.RoundTrip(req)
	}
	c := newCall(h, req, opts, scope)
	defer c.leave()
	return c.run()
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

// run sends attempts until one is the answer.
// Everything that may stop the call is found out before the response is dropped, as far as it can be.
func (c *call) run() (*http.Response, error) {
	wait, err := c.coolDown()
	if err != nil {
		closeBody(c.firstBody())
		return nil, err
	}
	if counts, ok := c.opts.Budget.(interface{ Call(key string) }); ok {
		counts.Call(c.key)
	}
	for body := c.firstBody(); ; {
		resp, err := c.try(body, wait)
		if err != nil {
			return c.finish(nil, plan{stop: StopPrepare, cause: err})
		}
		p := c.decide(resp)
		if p.stop == "" {
			body, p = c.nextBody(p)
		}
		if p.stop != "" {
			return c.finish(resp, p)
		}
		c.event(c.opts.OnRetry, p.wait)
		drain.Response(resp)
		if err := sleep(c, p.wait); err != nil {
			closeBody(body)
			return c.finish(nil, gone(err))
		}
		wait = p.wait
	}
}

// finish ends the call: with resp, or with an error if that is nil.
func (c *call) finish(resp *http.Response, p plan) (*http.Response, error) {
	c.stopped(p.stop)
	c.settle(resp)
	if p.stop != StopDone {
		c.event(c.opts.OnGiveUp, 0)
	}
	if resp == nil {
		return nil, c.newError(p)
	}
	c.makeResumable(resp)
	c.tried.Response = nil // or who asks about the call would keep a body alive that nobody closes
	return resp, nil
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
