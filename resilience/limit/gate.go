package limit

import (
	"container/list"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate is the limits of one key, and the queue of those who wait for them, first come first served.
// Only the first in the queue may take a slot and a token of the rate; one that gives up leaves no gap behind.
//
// The invariant after each change under mu: the queue is empty, or its first cannot go on, and either the timer or a release will look again (arm).
// A gate has no goroutine. The timer's function ends by itself.
type gate struct {
	// The layer's; not changed once the gate is there.
	opts *Options

	mu sync.Mutex // guards the fields below; held for moments only
	// nil without Options.Rate. It has a lock of its own, and is asked under mu all the same: a token and a slot are taken together.
	bucket *rate.Limiter
	size   *size // nil without Options.Adaptive
	// Raised by take, lowered by release.
	inFlight int
	// Raised by take, lowered by headed.
	awaiting int // of inFlight, those that have no header yet
	// An element is in it exactly until its ready is closed, or its waiter has left.
	queue  list.List // of *waiter
	paused time.Time // nothing begins before
	// nil until time alone holds up the queue for the first time. It calls dispatch; a call that comes too late finds nothing to do.
	timer *time.Timer
}

// waiter is one request in the queue. enter makes it; serve, refuseLate or leave ends it, whichever takes mu first.
type waiter struct {
	// Closed once, under mu, by serve or refuseLate.
	ready    chan struct{} // closed when it has its slot, or err
	err      error         // written before ready is closed
	deadline time.Time     // zero for none
	// Guarded by mu.
	place *list.Element // in the queue
}

func newGate(o *Options) *gate {
	g := &gate{opts: o}
	if o.Rate > 0 {
		g.bucket = rate.NewLimiter(rate.Limit(o.Rate), o.Burst)
	}
	if o.Adaptive != nil {
		g.size = newSize(o)
	}
	return g
}

var (
	errQueueFull = errors.New("queue full")
	errNoRoom    = errors.New("no room for a copy")
	errNoTime    = errors.New("no time left")
	errMaxWait   = errors.New("max wait")
)

// acquire waits for a slot and a token, and reports whether the request stood in the queue.
// It fails at once if the queue is full, or if the wait is known to be too long, or if the request must not wait.
// After a nil error the caller owns a slot: it calls headed once and release once.
func (g *gate) acquire(ctx context.Context, mayWait bool) (queued bool, err error) {
	w, err := g.enter(ctx, mayWait)
	if w == nil {
		return false, err
	}
	return true, g.await(ctx, w)
}

// await returns when w has its slot, or has left the queue without one.
// It blocks without mu. Several cases of its select may be ready together: leave decides under mu, so a slot that was granted is never lost.
func (g *gate) await(ctx context.Context, w *waiter) error {
	var late <-chan time.Time
	if g.opts.MaxWait > 0 {
		timer := time.NewTimer(g.opts.MaxWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.ready:
		return w.err
	case <-ctx.Done():
		return g.leave(w, context.Cause(ctx))
	case <-late:
		return g.leave(w, errMaxWait)
	}
}

// enter takes a slot if there is one, and a place in the queue otherwise.
// A nil waiter with a nil error is a slot.
func (g *gate) enter(ctx context.Context, mayWait bool) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	// Newcomers pass no one: with a queue there is no slot for them, even if one is free at this moment.
	if g.queue.Len() == 0 && (g.take(now) || g.stretch() && g.take(now)) {
		return nil, nil
	}
	if !mayWait {
		return nil, errNoRoom
	}
	if g.queue.Len() >= g.opts.Queue {
		return nil, errQueueFull
	}
	w := &waiter{ready: make(chan struct{})}
	wait := g.least(now, g.queue.Len()+1)
	if deadline, ok := ctx.Deadline(); ok {
		if w.deadline = deadline; !now.Add(wait).Before(deadline) {
			return nil, errNoTime
		}
	}
	if g.opts.MaxWait > 0 && wait > g.opts.MaxWait {
		return nil, errMaxWait
	}
	w.place = g.queue.PushBack(w)
	g.arm(now)
	return w, nil
}

// leave gives up a place in the queue, unless it has come to the front meanwhile.
// w is the caller's own, and leave is called at most once for it.
func (g *gate) leave(w *waiter, why error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Who closes ready has taken w out of the queue under mu. So w is in exactly one of two states here:
	//	dispatch: takes a slot, removes w, closes ready   we: have the slot, and must use it or give it back
	//	we: remove ourselves                              dispatch: finds the next one
	select {
	case <-w.ready: // granted, or refused, before it could leave
		return w.err
	default:
	}
	g.queue.Remove(w.place)
	g.arm(time.Now()) // the next one may have less to wait for, or no one is left
	return why
}

// take takes a slot and a token if there are both. mu is held.
func (g *gate) take(now time.Time) bool {
	if now.Before(g.paused) || g.opts.slots() && g.inFlight >= g.limit() {
		return false
	}
	if g.bucket != nil && !g.bucket.AllowN(now, 1) {
		return false
	}
	g.inFlight++
	g.awaiting++
	return true
}

// stretch makes room for one more, and reports whether it did, where bodies hold the slots and the server has little to do:
// a program that reads long streams must not wait for one of them to end. mu is held.
func (g *gate) stretch() bool {
	return g.size != nil && g.inFlight >= g.limit() && g.awaiting*2 < g.limit() && g.size.stretch()
}

// limit is how many requests may be under way. mu is held.
func (g *gate) limit() int {
	if g.size != nil {
		return int(g.size.limit)
	}
	return g.opts.InFlight
}

// least is how long the nth in the queue has to wait at least: for the pause to end and for the tokens of those before it. How long slots take is not known. mu is held.
func (g *gate) least(now time.Time, n int) time.Duration {
	wait := max(0, g.paused.Sub(now))
	if g.bucket != nil {
		if missing := float64(n) - g.bucket.TokensAt(now); missing > 0 {
			// What does not fit into a Duration is the longest one: half of the range leaves room to add it to a time.
			wait = max(wait, time.Duration(min(math.Ceil(missing/g.opts.Rate*float64(time.Second)), math.MaxInt64/2)))
		}
	}
	return wait
}

// dispatch gives slots to those in front of the queue, as far as there are any.
// It runs on the timer's goroutine. It may find that a release has served the queue before.
func (g *gate) dispatch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serve(time.Now())
}

// serve is dispatch while mu is held.
func (g *gate) serve(now time.Time) {
	if g.queue.Len() > 0 {
		g.stretch()
	}
	for e := g.queue.Front(); e != nil && g.take(now); e = g.queue.Front() {
		g.queue.Remove(e)
		close(e.Value.(*waiter).ready)
	}
	g.arm(now)
}

// arm sees to it that the queue goes on when time alone holds it up. mu is held.
func (g *gate) arm(now time.Time) {
	if g.queue.Len() == 0 {
		if g.timer != nil {
			g.timer.Stop()
		}
		return
	}
	wait := g.least(now, 1)
	if wait <= 0 {
		if g.opts.slots() && g.inFlight >= g.limit() {
			return // slots are missing, not time: release goes on
		}
		wait = 1 // a token that rounding has kept back
	}
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, g.dispatch)
	} else {
		g.timer.Reset(wait)
	}
}

// release gives a slot back.
// It is called once for each slot (slot.once), and never blocks on a waiter: ready is closed, not sent to.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.serve(time.Now())
}

// headed tells that a request is not waited for any more: its header has come, or an error.
// It is called once for each slot, and before release.
func (g *gate) headed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.awaiting--
	g.serve(time.Now())
}

// answered tells how the server answers, to find out how much it takes.
func (g *gate) answered(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size.answered(time.Now(), took, g.inFlight)
	g.serve(time.Now())
}

// timedOut tells that an answer has not come in so long. A caller that was in a hurry says nothing of the server.
func (g *gate) timedOut(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if took.Seconds() > g.size.tolerance*g.size.best {
		g.size.overloaded(time.Now())
	}
}

// overloaded tells that the server has too much to do, and wants a pause, if it says so.
func (g *gate) overloaded(pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.size.overloaded(now)
	if until := now.Add(pause); pause > 0 && until.After(g.paused) {
		g.paused = until
		g.refuseLate(until)
		g.arm(now)
	}
}

// refuseLate ends the wait of those who have no time until the pause is over: an error now is worth more to them than one at their deadline. mu is held.
// err is written before ready is closed, so await reads it without mu.
func (g *gate) refuseLate(until time.Time) {
	for e := g.queue.Front(); e != nil; {
		w, next := e.Value.(*waiter), e.Next()
		if !w.deadline.IsZero() && !until.Before(w.deadline) {
			g.queue.Remove(e)
			w.err = errNoTime
			close(w.ready)
		}
		e = next
	}
}
