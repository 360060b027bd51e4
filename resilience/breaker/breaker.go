// Package breaker keeps requests from a server that fails.
//
// A [Breaker] counts for each host, or for each key that [Options.Key] names, how many requests failed. When too many did, it is open: requests fail at once, unsent,
// with an [*OpenError]. After a while it is half-open and lets a few requests through as probes, and what becomes of them closes it or opens it again.
//
// The error says that the origin is unavailable, so that a cache above may serve a stale response (RFC 5861 §4), and that another attempt would meet it again,
// so that a retry layer above neither waits nor spends its budget. The place of the layer is below retry and hedge, so that each attempt and each copy counts,
// and above a limit, so that what is refused waits for no place.
//
// The algorithm is that of github.com/sony/gobreaker.
package breaker

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/resilience/internal/keyed"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// State is the state of the breaker of one key.
type State int

// The states.
const (
	Closed   State = iota // requests pass
	HalfOpen              // a few pass, as probes
	Open                  // none passes
)

// String returns "closed", "half-open" or "open".
func (s State) String() string { return gobreaker.State(s).String() }

// OpenError reports a request that was not sent, because the breaker of its key is open, or half-open with all its probes under way.
type OpenError struct {
	Key   string    // the host, or what Options.Key returned
	Until time.Time // when the next probe may be sent; zero if probes are under way
}

func (e *OpenError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("breaker: %s has failed and is being probed: try again later", e.Key)
	}
	return fmt.Sprintf("breaker: %s has failed too often: open until %s", e.Key, e.Until.UTC().Format(time.RFC3339))
}

// OriginUnavailable reports true: a cache above may serve a stored response although it is stale (RFC 5861 §4).
func (e *OpenError) OriginUnavailable() bool { return true }

// RetryableError reports false: another attempt would meet the open breaker again.
func (e *OpenError) RetryableError() bool { return false }

// Unsent reports true: no server has seen the request.
func (e *OpenError) Unsent() bool { return true }

// Breaker has a circuit breaker for each key. It is made by [New] and safe for concurrent use. It starts no goroutine and needs no closing.
type Breaker struct {
	opts Options
	keys *keyed.Map[*circuit]

	opened, refused, probes atomic.Int64
}

// New makes a Breaker. The error is an [*OptionError].
func New(o Options) (*Breaker, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	b := &Breaker{opts: o}
	b.keys = keyed.New(o.MaxKeys, b.newCircuit)
	return b, nil
}

// Middleware is the layer. Several handlers, of several clients perhaps, share the state of the Breaker.
// A nil next stands for [http.DefaultTransport].
func (b *Breaker) Middleware(next http.RoundTripper) http.RoundTripper {
	return &handler{layer.Over(next, "breaker", b), b}
}

// State returns the state of a key: Closed if nothing is known of it.
func (b *Breaker) State(key string) State {
	c, ok := b.keys.Peek(key)
	if !ok {
		return Closed
	}
	s := State(c.gate.State())
	c.deliver()
	return s
}

// Stats counts what a [Breaker] did since it was made.
type Stats struct {
	Opened   int64 // how often the breaker of a key has opened, by failed probes too
	Refused  int64 // requests that were not sent
	Probes   int64 // requests that were sent while half-open
	Open     int64 // keys that are open now
	HalfOpen int64 // keys that are half-open now
}

// Stats returns the counts.
func (b *Breaker) Stats() Stats {
	s := Stats{Opened: b.opened.Load(), Refused: b.refused.Load(), Probes: b.probes.Load()}
	for _, c := range b.keys.All() {
		switch State(c.state.Load()) {
		case Open:
			s.Open++
		case HalfOpen:
			s.HalfOpen++
		}
	}
	return s
}

// Counts gives the counts to telemetry, level for those that go down too.
func (b *Breaker) Counts(yield func(name, unit, description string, level bool, value int64)) {
	s := b.Stats()
	yield("ply.breaker.opened", "{change}", "How often a breaker has opened.", false, s.Opened)
	yield("ply.breaker.refused", "{request}", "Requests that an open breaker has not sent.", false, s.Refused)
	yield("ply.breaker.probes", "{request}", "Requests sent to find out whether a server is back.", false, s.Probes)
	yield("ply.breaker.open", "{key}", "Keys whose breaker is open.", true, s.Open)
	yield("ply.breaker.half_open", "{key}", "Keys whose breaker is half-open.", true, s.HalfOpen)
}

// circuit is the breaker of one key.
type circuit struct {
	gate     *gobreaker.TwoStepCircuitBreaker[struct{}]
	onChange func(Change)
	state    atomic.Int32 // a State, as of the last change
	until    atomic.Int64 // when an open one lets a probe through, in Unix nanoseconds

	mu         sync.Mutex // guards the fields below; it is taken inside that of gate, and not held over a hook
	changes    []Change   // that onChange has not seen
	delivering bool       // a goroutine is calling onChange: it takes later changes along, so that they stay in order
}

func (b *Breaker) newCircuit(key string) *circuit {
	c := &circuit{onChange: b.opts.OnChange}
	c.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         key,
		MaxRequests:  uint32(b.opts.Probes),
		Interval:     b.opts.Window,
		BucketPeriod: max(1, b.opts.Window/10),
		Timeout:      b.opts.OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			counted := n.TotalSuccesses + n.TotalFailures
			return int(counted) >= b.opts.MinRequests && float64(n.TotalFailures) >= b.opts.FailureRate*float64(counted)
		},
		IsExcluded: func(err error) bool { return err == errUncounted },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			now := time.Now()
			if to == gobreaker.StateOpen {
				b.opened.Add(1)
				c.until.Store(now.Add(b.opts.OpenFor).UnixNano())
			}
			c.state.Store(int32(to))
			if c.onChange != nil {
				c.changed(Change{Key: key, From: State(from), To: State(to), At: now})
			}
		},
	})
	return c
}

// changed notes a change. The lock of gate is held, so that the hook has to wait for deliver.
func (c *circuit) changed(change Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, change)
}

// deliver calls the hook for the changes that it has not seen.
func (c *circuit) deliver() {
	if c.onChange == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivering {
		return
	}
	c.delivering = true
	defer func() { c.delivering = false }()
	for len(c.changes) > 0 {
		change := c.changes[0]
		c.changes = c.changes[1:]
		func() {
			c.mu.Unlock()
			defer c.mu.Lock()
			c.onChange(change)
		}()
	}
}

type handler struct {
	layer.Base
	breaker *Breaker
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	b := h.breaker
	held := layer.Hold(req)
	defer held.Close()
	e := b.keys.Acquire(b.opts.Key(req))
	defer b.keys.Release(e)
	c := e.Value
	report, err := c.gate.Allow()
	if err != nil {
		held.Pass()
		b.refused.Add(1)
		err = refuse(req, e.Key, c, err)
		c.deliver()
		return nil, err
	}
	p := &pass{circuit: c, report: report, outcome: errUncounted}
	defer p.end() // also if the hook panics, or else a probe would be under way for ever
	c.deliver()
	if State(c.state.Load()) == HalfOpen {
		b.probes.Add(1)
		note.Tell(req.Context(), note.Note{Layer: "breaker", Event: "probed", Start: time.Now()})
		late := time.AfterFunc(b.opts.ProbeTimeout, p.late)
		defer late.Stop()
	}
	start := time.Now()
	held.Pass()
	resp, err := h.Next.RoundTrip(req)
	held.Take(resp)
	if hook := p.hook.Load(); hook != nil {
		panic(*hook)
	}
	p.outcome = b.outcome(req, resp, err, time.Since(start))
	p.end() // now, so that the response is closed if the hook panics
	held.Pass()
	return resp, err
}

func refuse(req *http.Request, key string, c *circuit, why error) error {
	open, detail := &OpenError{Key: key}, "while others probe"
	if why == gobreaker.ErrOpenState {
		open.Until = time.Unix(0, c.until.Load())
		detail = "for " + time.Until(open.Until).Round(time.Millisecond).String()
	}
	layer.Refuse(req, note.Note{Layer: "breaker", Event: "refused", Detail: detail, Start: time.Now()})
	return open
}

// pass is one request on its way. It reports its outcome once: a probe that is late has failed already, and a panic is not counted.
type pass struct {
	circuit *circuit
	report  func(error)
	outcome error // nil for success
	once    sync.Once
	hook    atomic.Pointer[any] // what OnChange panicked with on the goroutine of a timer
}

// late counts a probe as failed. It runs on the goroutine of a timer, where a panic of OnChange would end the program: the goroutine of the request panics with it.
func (p *pass) late() {
	defer func() {
		if hook := recover(); hook != nil {
			p.hook.Store(&hook)
		}
	}()
	p.done(errFailed)
}

func (p *pass) end() { p.done(p.outcome) }

func (p *pass) done(outcome error) {
	p.once.Do(func() {
		p.report(outcome)
		p.circuit.deliver()
	})
}
