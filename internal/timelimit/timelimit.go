// Package timelimit has contexts with a deadline that cost one allocation until something waits for them.
package timelimit

import (
	"context"
	"sync"
	"time"
)

// A Context ends with its parent, or when its time is over, whatever comes first. The timer, and all else that a context needs,
// is made when Done or Value is called first: most calls of a store end without either.
//
// Its maker calls End when no call in it is under way any more. It is safe for concurrent use.
type Context struct {
	parent  context.Context
	Limit   time.Duration // as New got it
	end     time.Time     // the parent's deadline may be sooner
	cause   error
	guarded bool

	mu     sync.Mutex      // guards the fields below; no other context is called under it
	why    reason          // why it has ended, as has been said once; only set while timed is nil
	timed  context.Context // with a timer, or nil. Once it is there, it alone says whether and why c has ended
	cancel context.CancelFunc
}

// A reason is why a context has ended.
type reason uint8

const (
	running  reason = iota
	byParent        // the parent has ended
	late            // the time is over
	byEnd           // End was called
)

// New returns a context that ends after limit at the latest. Then its cause is the given one, and its error context.DeadlineExceeded.
func New(parent context.Context, limit time.Duration, cause error) *Context {
	return &Context{parent: parent, Limit: limit, end: time.Now().Add(limit), cause: cause}
}

// Guarded is New for one who calls a store, has a goroutine for that, and does not wait for it when the context has ended, whatever the store does.
func Guarded(parent context.Context, limit time.Duration, cause error) *Context {
	c := New(parent, limit, cause)
	c.guarded = true
	return c
}

// IsGuarded reports whether Guarded has made ctx: then a store need not see to it that its call returns when ctx ends.
func IsGuarded(ctx context.Context) bool {
	c, ok := ctx.(*Context)
	return ok && c.guarded
}

// context returns the context with a timer. If c has been seen to have ended, it has ended for the same reason, whatever has become of the parent since.
func (c *Context) context() context.Context {
	for {
		timed, why := c.made()
		if timed != nil {
			return timed
		}
		timed, cancel := c.derive(why)
		switch first := c.make(timed, cancel, why); first {
		case timed:
			return timed
		case nil:
			cancel() // c has ended meanwhile
		default:
			cancel()
			return first
		}
	}
}

// derive returns a context with a timer, which has ended already if there is a reason.
func (c *Context) derive(why reason) (context.Context, context.CancelFunc) {
	switch why {
	case late:
		return context.WithDeadlineCause(context.WithoutCancel(c.parent), c.end, c.cause)
	case byEnd:
		timed, cancel := context.WithCancel(context.WithoutCancel(c.parent))
		cancel()
		return timed, cancel
	}
	return context.WithDeadlineCause(c.parent, c.end, c.cause)
}

// made returns the context with a timer, or nil, and why c has ended, if that has been said without one.
func (c *Context) made() (timed context.Context, why reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timed, c.why
}

// make sets the context with a timer, which was derived for a reason, unless another call was faster. It returns the one that counts,
// or nil if c has ended for another reason meanwhile.
func (c *Context) make(timed context.Context, cancel context.CancelFunc, why reason) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil && c.why == why {
		c.timed, c.cancel = timed, cancel
	}
	return c.timed
}

// note notes why c has ended, unless that is known, or the context with a timer is there to say it. It returns what counts.
func (c *Context) note(why reason) (timed context.Context, first reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil && c.why == running {
		c.why = why
	}
	return c.timed, c.why
}

// look returns the context with a timer, or why c has ended. If the parent has ended and the time is over when c is looked at for the first time,
// which of them came first is not known, and the parent counts.
func (c *Context) look() (timed context.Context, why reason) {
	timed, why = c.made()
	switch {
	case timed != nil || why != running:
		return timed, why
	case c.parent.Err() != nil:
		return c.note(byParent)
	case !time.Now().Before(c.end):
		return c.note(late)
	}
	return nil, running
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (time.Time, bool) {
	if d, ok := c.parent.Deadline(); ok && d.Before(c.end) {
		return d, true
	}
	return c.end, true
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} { return c.context().Done() }

// Value implements [context.Context]. The context with a timer answers, because package context looks for it there: contexts that are made of this one
// end with it without a goroutine, and [context.Cause] knows why it has ended.
func (c *Context) Value(key any) any { return c.context().Value(key) }

// Err implements [context.Context]. It returns the first reason for good.
func (c *Context) Err() error {
	timed, why := c.look()
	switch {
	case timed != nil:
		return timed.Err()
	case why == byParent:
		return c.parent.Err()
	case why == late:
		return context.DeadlineExceeded
	case why == byEnd:
		return context.Canceled
	}
	return nil
}

// Wait waits until done is closed, and no longer than c lasts. It reports whether done is closed. End must not be called meanwhile.
func (c *Context) Wait(done <-chan struct{}) bool {
	if timed, _ := c.made(); timed != nil {
		select {
		case <-done:
			return true
		case <-timed.Done():
			return false
		}
	}
	timer := time.NewTimer(time.Until(c.end))
	defer timer.Stop()
	why := byParent
	select {
	case <-done:
		return true
	case <-timer.C:
		why = late
	case <-c.parent.Done():
	}
	if timed, _ := c.note(why); timed != nil {
		<-timed.Done() // it was made meanwhile, and ends a moment later
	}
	return false
}

// Exceeded reports whether c has ended because its time is over.
func (c *Context) Exceeded() bool {
	timed, why := c.look()
	if timed != nil {
		return timed.Err() != nil && context.Cause(timed) == c.cause
	}
	return why == late
}

// End ends the context.
func (c *Context) End() {
	c.note(byEnd)
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
