package retry

import (
	"context"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/drain"
	"github.com/plyhttp/ply/internal/reqctx"
)

// New returns a layer that sends a request again where that is safe and may help.
//
// A call that does not succeed returns the last response, intact, with a nil error; or an [*Error] if there is no response.
// A layer with options that fail [Options.Validate] sends nothing and returns that error from each RoundTrip; ply.New refuses it.
//
// The handlers of one New share its budget and its cool-downs. They are safe for concurrent use.
// Responses belong to the caller, who must close their bodies.
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

// WrappedRoundTripper is Unwrap under the name that Kubernetes uses.
func (h *handler) WrappedRoundTripper() http.RoundTripper { return h.next }

// OptionsError returns the error of the options, or nil. ply.New and ply.Wrap refuse a layer with an error.
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
	defer c.onReturn()
	c.begin()
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

// passesThrough reports whether req asks for a tunnel or another protocol.
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

// run makes attempts until one is final.
// It drops a response only when nothing that is known by then can stop the call.
func (c *call) run() (*http.Response, error) {
	wait, err := c.coolDown()
	if err != nil {
		return nil, err
	}
	c.count()
	for {
		resp, err := c.try(wait)
		if err != nil {
			c.letGo()
			return c.finish(nil, plan{stop: StopPrepare, cause: err})
		}
		p := c.decide(resp)
		if p.stop == "" {
			p = c.nextBody(p)
		}
		if p.stop != "" {
			return c.finish(resp, p)
		}
		c.event(c.opts.OnRetry, p.wait)
		c.drop()
		if err := sleep(c, p.wait); err != nil {
			c.letGo()
			return c.finish(nil, gone(err))
		}
		wait = p.wait
	}
}

// drop ends the last response, which the caller does not get.
func (c *call) drop() {
	resp := c.resp
	c.resp = nil
	drain.Response(resp)
}

// letGo ends what the call holds for a retry that is not made. If a hook or the next layer panics, or ends the goroutine, that is all it holds.
func (c *call) letGo() {
	if c.state != nil {
		c.state.end(nil)
		c.state = nil
	}
	body, resp := c.body, c.resp
	c.body, c.resp = nil, nil
	closeBody(body)
	if resp != nil {
		resp.Body.Close()
	}
	if c.owed {
		c.notMade()
	}
}

// count tells the budget of the call. What a cache fetches ahead of time is none: a budget has paid for it as an extra request.
func (c *call) count() {
	if counts, ok := c.opts.Budget.(interface{ Call(key string) }); ok && !reqctx.From(c).PaidFor {
		counts.Call(c.key)
	}
}

// finish ends the call with resp, or with an error if resp is nil.
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
	c.resp = nil
	c.tried.Response = nil // the call outlives the response; a reference would keep an unclosed body from the garbage collector
	return resp, nil
}

// settle reports a success to the budget.
func (c *call) settle(resp *http.Response) {
	switch {
	case resp == nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
	case c.refund != nil:
		c.refund()
	case c.sent() == 1 && !reqctx.From(c).PaidFor:
		c.opts.Budget.Success(c.key)
	}
}

// notMade gives back what was paid for a retry that no server has been asked for: the call ended before it, or a layer below has kept it.
func (c *call) notMade() {
	if !c.paid {
		return
	}
	refund := c.refund
	c.paid, c.owed, c.refund = false, false, nil
	if refund != nil {
		refund()
	} else if b, ok := c.opts.Budget.(interface{ NotMade(key string) }); ok {
		b.NotMade(c.key)
	}
}

func (c *call) event(hook func(context.Context, Event), wait time.Duration) {
	if hook != nil {
		hook(c.Context, Event{Attempt: c.tried, Wait: wait, Info: c.info()})
	}
}
