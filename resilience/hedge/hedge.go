// Package hedge sends a copy of a request that is slow, and takes the answer that comes first.
//
// A request is slow when it has no response after [Options.Delay], or after longer than 95 % of the requests to its host have taken. The first usable response wins;
// the others are canceled, and their bodies closed. A response that asks for a retry, as a fast 503, is not usable: the layer waits for the others,
// and only if none of them is better it returns what came first, a response rather than an error.
// A request that fails before a copy was sent is returned at once, for a retry layer above to decide.
// A copy that a layer below keeps, a limit without room or an open breaker, is not sent: another is tried after the same time again, and after twice the time each from then on.
//
// The layer has no timeout. If neither the request nor a copy is ever answered, the call waits until its context ends: see ply.Timeouts and retry.Options.AttemptTimeout.
//
// Only a request that is safe to send twice is hedged (see [retry.IsIdempotent]), and only if it has no body or one with GetBody. Each copy is paid for from a budget: see package budget.
//
// The place of the layer is below retry, whose attempt it is a part of, and above breaker and limit, which see each copy.
//
// Where to look: hedge.go has the layer, race.go one call and its copies, latency.go how long requests to a host take, options.go the options.
package hedge

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/internal/keyed"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// Hedger measures how long requests take, and hedges those that are slow. It is made by [New] and safe for concurrent use.
// It needs no closing: the goroutine of each copy ends with the copy.
type Hedger struct {
	opts Options
	keys *keyed.Map[*latency]

	hedged, won, denied atomic.Int64
}

// New makes a Hedger. The error is an [*OptionError].
func New(o Options) (*Hedger, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &Hedger{opts: o, keys: keyed.New(o.MaxKeys, func(string) *latency { return &latency{} })}, nil
}

// Middleware is the layer. Several handlers, of several clients perhaps, share the measurements of the Hedger.
// A nil next stands for [http.DefaultTransport].
func (h *Hedger) Middleware(next http.RoundTripper) http.RoundTripper {
	return &handler{layer.Over(next, "hedge", h), h}
}

type disabledKey struct{}

// Disable returns a context whose requests are not hedged.
func Disable(ctx context.Context) context.Context {
	return context.WithValue(ctx, disabledKey{}, true)
}

// Delay returns after how long a request of the key would be hedged now, and false if it would not be, since too few were measured.
func (h *Hedger) Delay(key string) (time.Duration, bool) {
	if h.opts.Delay > 0 {
		return h.opts.Delay, true
	}
	l, ok := h.keys.Peek(key)
	if !ok {
		return 0, false
	}
	return h.delay(l)
}

func (h *Hedger) delay(l *latency) (time.Duration, bool) {
	if h.opts.Delay > 0 {
		return h.opts.Delay, true
	}
	d, ok := l.quantile(h.opts.Quantile, h.opts.MinSamples)
	return max(d, h.opts.MinDelay), ok
}

// Stats counts what a [Hedger] did since it was made.
type Stats struct {
	Hedges int64 // copies that were sent
	Won    int64 // copies whose response was the answer
	Denied int64 // copies that the budget did not allow
}

// Stats returns the counts.
func (h *Hedger) Stats() Stats {
	return Stats{Hedges: h.hedged.Load(), Won: h.won.Load(), Denied: h.denied.Load()}
}

// Counts gives the counts to telemetry, level for those that go down too.
func (h *Hedger) Counts(yield func(name, unit, description string, level bool, value int64)) {
	s := h.Stats()
	yield("ply.hedge.sent", "{request}", "Copies of slow requests.", false, s.Hedges)
	yield("ply.hedge.won", "{request}", "Copies whose response came first.", false, s.Won)
	yield("ply.hedge.denied", "{request}", "Copies that the budget did not allow.", false, s.Denied)
}

type handler struct {
	layer.Base
	hedger *Hedger
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	g := h.hedger
	if passes(req) {
		return h.Next.RoundTrip(req)
	}
	held := layer.Hold(req)
	defer held.Close()
	key := g.opts.Key(req)
	e := g.keys.Acquire(key)
	defer g.keys.Release(e)
	paid := g.account(req, key)
	start := time.Now()
	delay, ok := g.delay(e.Value)
	held.Pass()
	if !ok {
		resp, err := h.Next.RoundTrip(req)
		held.Take(resp)
		if err == nil && resp != nil && g.opts.Usable(resp) {
			e.Value.add(time.Since(start))
			paid.succeeded()
		}
		held.Pass()
		return resp, err
	}
	r := &race{hedger: g, next: h.Next, req: req, key: key, delay: delay, news: make(chan struct{}, 1)}
	resp, err := r.run()
	held.Take(resp)
	if err == nil && g.opts.Usable(resp) {
		// Of a request that has lost only so much is known, which keeps its place above the quantile.
		e.Value.add(time.Since(start))
		if r.sent() == 0 {
			paid.succeeded()
		}
	}
	held.Pass()
	return resp, err
}

// passes reports whether req is not to be sent twice.
func passes(req *http.Request) bool {
	if req.Method == http.MethodConnect || len(req.Header["Upgrade"]) > 0 || req.Context().Value(disabledKey{}) != nil {
		return true
	}
	return !retry.IsIdempotent(req) || req.Body != nil && req.Body != http.NoBody && req.GetBody == nil
}

// account tells the budget of a call, unless a retry layer above has done so, or a budget has paid for it as an extra request. It returns nil then.
func (h *Hedger) account(req *http.Request, key string) *accounted {
	if _, ok := retry.InfoFromContext(req.Context()); ok || reqctx.From(req.Context()).PaidFor {
		return nil
	}
	if counts, ok := h.opts.Budget.(interface{ Call(key string) }); ok {
		counts.Call(key)
	}
	return &accounted{h.opts.Budget, key}
}

// accounted is a call that the budget has been told of here.
type accounted struct {
	budget retry.Budget
	key    string
}

func (a *accounted) succeeded() {
	if a != nil {
		a.budget.Success(a.key)
	}
}

// errLost ends the context of a request whose answer is not needed any more. It matches [context.Canceled]: for the layers below, it is no failure.
var errLost error = lost{}

type lost struct{}

func (lost) Error() string { return "hedge: another copy of the request was answered first" }

func (lost) Is(target error) bool { return target == context.Canceled }
