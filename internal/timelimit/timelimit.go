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

	mu     sync.Mutex      // guards the fields below; no other context is called under it, except timed
	err    error           // why it has ended, as Err has said it once
	timed  context.Context // with a timer, or nil
	cancel context.CancelFunc
}

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

// context returns the context with a timer.
func (c *Context) context() context.Context {
	if timed, _ := c.made(); timed != nil {
		return timed
	}
	timed, cancel := context.WithDeadlineCause(c.parent, c.end, c.cause)
	first, ended := c.make(timed, cancel)
	if first != timed || ended {
		cancel()
	}
	return first
}

// made returns the context with a timer, or nil, and why c has ended, if Err has said so.
func (c *Context) made() (timed context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timed, c.err
}

// make sets the context with a timer, unless another call was faster. It returns the one that counts, and whether c has ended already.
func (c *Context) make(timed context.Context, cancel context.CancelFunc) (first context.Context, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = timed, cancel
	}
	return c.timed, c.err != nil
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

// Err implements [context.Context].
func (c *Context) Err() error {
	timed, err := c.made()
	if timed != nil && timed.Err() != nil {
		return timed.Err()
	}
	if err != nil || timed != nil {
		return err
	}
	if err = c.parent.Err(); err == nil && !time.Now().Before(c.end) {
		err = context.DeadlineExceeded
	}
	if err == nil {
		return nil
	}
	return c.over(err)
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
	select {
	case <-done:
		return true
	case <-timer.C:
		c.over(context.DeadlineExceeded) // the timer of a context that was made meanwhile may come a moment later
		return false
	case <-c.parent.Done():
		return false
	}
}

// Exceeded reports whether the time of c is over, and its parent has not ended.
func (c *Context) Exceeded() bool { return c.parent.Err() == nil && !time.Now().Before(c.end) }

// over notes why c has ended, and returns the first reason.
func (c *Context) over(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	return c.err
}

// End ends the context.
func (c *Context) End() {
	c.over(context.Canceled)
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
