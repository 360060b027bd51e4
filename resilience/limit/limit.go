// Package limit bounds what a server gets: requests per second, requests under way, and how many wait.
//
// A [Limiter] has the bounds for each host, or for each key that [Options.Key] names. A request that finds no room waits in a queue, first come first served.
// It fails at once, unsent, with an [*Error], if the queue is full, or if it is known that the wait would outlast the deadline of its context.
// A slot is held until the body of the response has been read to its end or closed, not until its header has come; one whose body is dropped is freed
// when the garbage collector finds it. A copy that a hedge layer sends gets a slot at once or not at all. After a 101 (Switching Protocols) the slot is free, since the body is a connection then.
//
// The place of the layer is innermost: below retry, hedge and breaker, each of whose requests takes its own slot.
//
// The rate is that of golang.org/x/time/rate.
//
// Where to look: limit.go has the layer, gate.go the queue of one host and its slots, adaptive.go the rule by which their number follows the server,
// stats.go what programs see, options.go the options.
package limit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/resilience/internal/keyed"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// Reason says why a request was not sent.
type Reason string

// The reasons.
const (
	QueueFull Reason = "queue full"         // Options.Queue requests wait already
	NoRoom    Reason = "no room for a copy" // the request is a copy that a hedge layer sends, and would have to wait
	NoTime    Reason = "no time left"       // the wait is, or would have been, longer than the deadline of the request's context allows
	MaxWait   Reason = "max wait"           // the wait is, or would have been, longer than Options.MaxWait
	GaveUp    Reason = "gave up"            // the request's context was canceled while it waited
)

// Error reports a request that was not sent, because its key had no room for it.
type Error struct {
	Key    string        // the host, or what Options.Key returned
	Reason Reason        // why
	Waited time.Duration // before it was given up

	cause error // of a context that is done
}

func (e *Error) Error() string {
	if e.Waited > 0 {
		return fmt.Sprintf("limit: no room for %s after %v: %s", e.Key, e.Waited.Round(time.Microsecond), e.Reason)
	}
	return fmt.Sprintf("limit: no room for %s: %s", e.Key, e.Reason)
}

// Unwrap returns the cause of the request's context, if that is done.
func (e *Error) Unwrap() error { return e.cause }

// Is makes an error for [NoTime] match [context.DeadlineExceeded], and one for [GaveUp] [context.Canceled].
func (e *Error) Is(target error) bool {
	return e.Reason == NoTime && target == context.DeadlineExceeded || e.Reason == GaveUp && target == context.Canceled
}

// Timeout reports whether time was what the request lacked.
func (e *Error) Timeout() bool { return e.Reason == NoTime || e.Reason == MaxWait }

// NoTimeLeft reports whether the deadline of the request leaves no time for another attempt either.
func (e *Error) NoTimeLeft() bool { return e.Reason == NoTime }

// RetryableError reports false: another attempt would stand in the same queue.
func (e *Error) RetryableError() bool { return false }

// Unsent reports true: no server has seen the request.
func (e *Error) Unsent() bool { return true }

// OriginUnavailable reports true, unless the caller gave up: a cache above may serve a stored response although it is stale (RFC 5861 §4).
func (e *Error) OriginUnavailable() bool { return e.Reason != GaveUp }

// Limiter has the limits of each key. It is made by [New] and safe for concurrent use. It starts no goroutine and needs no closing.
type Limiter struct {
	opts  Options
	gates *keyed.Map[*gate]

	waited, full, late atomic.Int64
}

// New makes a Limiter. The error is an [*OptionError].
func New(o Options) (*Limiter, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	l := &Limiter{opts: o}
	l.gates = keyed.New(o.MaxKeys, func(string) *gate { return newGate(&l.opts) })
	return l, nil
}

// Middleware is the layer. Several handlers, of several clients perhaps, share the limits of the Limiter.
// A nil next stands for [http.DefaultTransport].
func (l *Limiter) Middleware(next http.RoundTripper) http.RoundTripper {
	return &handler{layer.Over(next, "limit", l), l}
}

type handler struct {
	layer.Base
	limiter *Limiter
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	l := h.limiter
	held := layer.Hold(req)
	defer held.Close()
	e := l.gates.Acquire(l.opts.Key(req))
	held.Pass() // no other hook follows
	if err := l.wait(req, e); err != nil {
		l.gates.Release(e)
		return nil, err
	}
	s := &slot{limiter: l, entry: e}
	returned := false
	defer func() {
		if !returned { // a panic goes on its way
			e.Value.headed()
			s.release()
		}
	}()
	start := time.Now()
	resp, err := h.Next.RoundTrip(req)
	returned = true
	e.Value.headed()
	if l.opts.Adaptive != nil {
		l.learn(req, e.Value, resp, err, time.Since(start))
	}
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || !l.opts.slots() {
		s.release()
		return resp, err
	}
	resp.Body = layer.OnEnd(resp.Body, s.release)
	return resp, nil
}

// slot is what a request holds of its key until its response has ended.
type slot struct {
	limiter *Limiter
	entry   *keyed.Entry[*gate]
	once    sync.Once
}

func (s *slot) release() {
	s.once.Do(func() {
		s.entry.Value.release()
		s.limiter.gates.Release(s.entry)
	})
}

// wait gets a slot for the request, or closes its body and says why there is none.
func (l *Limiter) wait(req *http.Request, e *keyed.Entry[*gate]) error {
	start := time.Now()
	// A copy does not wait: it would take the place of a request that has none, and the one that it is a copy of may hold a slot until the copy is answered.
	queued, err := e.Value.acquire(req.Context(), note.Hedge(req.Context()) == 0)
	var waited time.Duration
	if queued { // to ask may take long, too, on a busy processor
		waited = time.Since(start)
	}
	if err == nil {
		if waited >= noticeable {
			l.waited.Add(1)
			note.Tell(req.Context(), note.Note{Layer: "limit", Event: "waited", Start: start, Duration: waited})
		}
		return nil
	}
	refused := &Error{Key: e.Key}
	switch {
	case err == errNoRoom:
		refused.Reason = NoRoom
	case err == errQueueFull:
		l.full.Add(1)
		refused.Reason = QueueFull
	case err == errMaxWait:
		l.late.Add(1)
		refused.Reason = MaxWait
	case err == errNoTime:
		l.late.Add(1)
		refused.Reason = NoTime
	case layer.OutOfTime(req.Context()):
		l.late.Add(1)
		refused.Reason, refused.cause = NoTime, err
	default:
		refused.Reason, refused.cause = GaveUp, err
	}
	if waited >= noticeable {
		refused.Waited = waited
	}
	layer.Refuse(req, note.Note{Layer: "limit", Event: "refused", Detail: string(refused.Reason), Start: start, Duration: refused.Waited})
	return refused
}

// noticeable is what counts as a wait.
const noticeable = time.Millisecond

// learn lets the gate know how the server answers.
func (l *Limiter) learn(req *http.Request, g *gate, resp *http.Response, err error, took time.Duration) {
	switch {
	case err != nil:
		if timedOut(err) || layer.OutOfTime(req.Context()) {
			g.timedOut(took)
		}
	case resp == nil:
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		asked, _ := retry.RetryAfter(resp)
		g.overloaded(min(asked, l.opts.MaxRetryAfter))
	case resp.StatusCode < 500:
		g.answered(took)
	}
}

// timedOut reports whether err says that an answer has not come in time.
func timedOut(err error) bool {
	var says interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &says) && says.Timeout()
}
