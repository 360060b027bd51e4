package resilience

import (
	"net/http"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// Options are those of the layers. The zero value is meant for production: three attempts; a copy of a GET that takes longer than 95 % of the others;
// a breaker that opens when 70 % of ten requests or more have failed within ten seconds; an adaptive limit, from 20 requests under way to 1000;
// and all that is sent beside the calls within a tenth of them.
//
// It has no timeout, since it cannot know how long an answer may take. Against a server that accepts requests and is silent for ever, set ply.Options.Timeouts, or Retry.AttemptTimeout,
// which gives each attempt its own time; without either, such a call waits until its context ends, and holds its slot of the limit.
type Options struct {
	Retry   retry.Options   // zero means three attempts with full jitter
	Hedge   hedge.Options   // zero means a copy of what takes longer than 95 % of the others
	Breaker breaker.Options // zero means open at 70 % of ten requests or more within ten seconds

	// Limit is what the server gets at most. Zero means Adaptive.
	Limit limit.Options

	// Budget pays for retries and hedges, unless Retry or Hedge have a Budget of their own. Give a cache its part as its Options.RefreshBudget: cache.FromBudget(b.For(budget.Refresh)).
	// Zero means a new one.
	Budget *budget.Budget

	// Key names what fails together, in all layers that have no Key of their own. It must not block, and what it returns is in errors, so that it must not be a secret.
	// Zero means the host and port of the URL.
	Key func(*http.Request) string

	// NoHedge, NoBreaker and NoLimit leave out a layer; false keeps it. For a call without retries there is retry.Disable.
	NoHedge, NoBreaker, NoLimit bool
}

// Chain is the layers and what they share, for a program that wants to see how they stand. Those that were left out are nil.
type Chain struct {
	Retry   func(http.RoundTripper) http.RoundTripper // the outermost of the four
	Hedge   *hedge.Hedger                             // says how slow is slow, by host
	Breaker *breaker.Breaker                          // says for which hosts it is open
	Limit   *limit.Limiter                            // says how many requests wait and are under way
	Budget  *budget.Budget                            // that of Options, or the new one; says what was sent beside the calls
}

// New makes the layers. The error is that of the first whose options cannot mean anything.
func New(o Options) (*Chain, error) {
	c := &Chain{Budget: o.Budget}
	if c.Budget == nil {
		c.Budget = &budget.Budget{}
	}
	o = o.withDefaults(c.Budget)
	if err := o.Retry.Validate(); err != nil {
		return nil, err
	}
	c.Retry = retry.New(o.Retry)
	var err error
	if !o.NoHedge {
		if c.Hedge, err = hedge.New(o.Hedge); err != nil {
			return nil, err
		}
	}
	if !o.NoBreaker {
		if c.Breaker, err = breaker.New(o.Breaker); err != nil {
			return nil, err
		}
	}
	if !o.NoLimit {
		if c.Limit, err = limit.New(o.Limit); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (o Options) withDefaults(b *budget.Budget) Options {
	if o.Retry.Budget == nil {
		o.Retry.Budget = b.For(budget.Retry)
	}
	if o.Hedge.Budget == nil {
		o.Hedge.Budget = b.For(budget.Hedge)
	}
	if o.Breaker.Rules == nil {
		o.Breaker.Rules = o.Retry.Rules // what retry counts as failure
	}
	if l := o.Limit; l.Rate == 0 && l.InFlight == 0 && l.Adaptive == nil {
		o.Limit.Adaptive = &limit.Adaptive{}
	}
	for _, key := range []*func(*http.Request) string{&o.Retry.Key, &o.Hedge.Key, &o.Breaker.Key, &o.Limit.Key} {
		if *key == nil {
			*key = o.Key
		}
	}
	return o
}

// Layers returns retry, hedge, breaker and limit, outermost first, without those that were left out.
func (c *Chain) Layers() []func(http.RoundTripper) http.RoundTripper {
	layers := []func(http.RoundTripper) http.RoundTripper{c.Retry}
	if c.Hedge != nil {
		layers = append(layers, c.Hedge.Middleware)
	}
	if c.Breaker != nil {
		layers = append(layers, c.Breaker.Middleware)
	}
	if c.Limit != nil {
		layers = append(layers, c.Limit.Middleware)
	}
	return layers
}

// Standard returns the layers that [New] makes, outermost first, for ply.Options.Use, ply.Wrap or any chain of functions of this type.
// Options that cannot mean anything make a layer that sends nothing and returns the error of New from each RoundTrip; ply.New and ply.Wrap refuse it.
func Standard(o Options) []func(http.RoundTripper) http.RoundTripper {
	c, err := New(o)
	if err != nil {
		return []func(http.RoundTripper) http.RoundTripper{func(http.RoundTripper) http.RoundTripper { return &refused{err} }}
	}
	return c.Layers()
}

// refused stands for layers that could not be made.
type refused struct{ err error }

func (r *refused) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, r.err
}

func (r *refused) LayerName() string   { return "resilience" }
func (r *refused) OptionsError() error { return r.err }
