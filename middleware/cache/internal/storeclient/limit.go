package storeclient

import (
	"context"
	"sync"
	"time"
)

// A Limit is a context that ends with its parent, or with ErrStoreHangs once the calls of a request have taken as long as they may together.
// Each hit makes one, and few stores wait for it: the timer, and all else that a context needs, is made when Done or Value is called first.
//
// End ends it. Its owner calls End when no call in it is under way any more.
type Limit struct {
	parent   context.Context
	timeout  time.Duration
	deadline time.Time // its own; the parent's may be sooner

	mu    sync.Mutex      // guards the fields below; no other context is called under it, except timed
	err   error           // why it has ended, as Err has said it once
	timed context.Context // with a timer, or nil
	end   context.CancelFunc
}

// Within returns a context in which all calls of a request together take no longer than the timeout. The caller must call its End.
func (g *Client) Within(ctx context.Context) *Limit {
	return &Limit{parent: ctx, timeout: g.Timeout, deadline: time.Now().Add(g.Timeout)}
}

// limit returns ctx if Within has made it, and a call in it needs no limit of its own. Otherwise it makes one, which the caller must end.
func (g *Client) limit(ctx context.Context) (l *Limit, end bool) {
	if l, ok := ctx.(*Limit); ok && l.timeout <= g.Timeout {
		return l, false
	}
	return g.Within(ctx), true
}

// context returns the context with a timer.
func (l *Limit) context() context.Context {
	if timed, _ := l.made(); timed != nil {
		return timed
	}
	timed, end := context.WithDeadlineCause(l.parent, l.deadline, ErrStoreHangs)
	first, ended := l.make(timed, end)
	if first != timed || ended {
		end()
	}
	return first
}

// made returns the context with a timer, or nil, and why l has ended, if Err has said so.
func (l *Limit) made() (timed context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timed, l.err
}

// make sets the context with a timer, unless another call was faster. It returns the one that counts, and whether l has ended already.
func (l *Limit) make(timed context.Context, end context.CancelFunc) (first context.Context, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.end = timed, end
	}
	return l.timed, l.err != nil
}

// Deadline implements [context.Context].
func (l *Limit) Deadline() (time.Time, bool) {
	if d, ok := l.parent.Deadline(); ok && d.Before(l.deadline) {
		return d, true
	}
	return l.deadline, true
}

// Done implements [context.Context].
func (l *Limit) Done() <-chan struct{} { return l.context().Done() }

// Value implements [context.Context]. The context with a timer answers, because package context looks for it there: contexts that are made of this one
// end with it without a goroutine, and [context.Cause] knows why it has ended.
func (l *Limit) Value(key any) any { return l.context().Value(key) }

// Err implements [context.Context].
func (l *Limit) Err() error {
	timed, err := l.made()
	if timed != nil && timed.Err() != nil {
		return timed.Err()
	}
	if err != nil || timed != nil {
		return err
	}
	if err = l.parent.Err(); err == nil && !time.Now().Before(l.deadline) {
		err = context.DeadlineExceeded
	}
	if err == nil {
		return nil
	}
	return l.over(err)
}

// hangs reports whether the calls in l have taken as long as they may, while their caller waits.
func (l *Limit) hangs() bool { return l.parent.Err() == nil && !time.Now().Before(l.deadline) }

// over notes why l has ended, and returns the first reason.
func (l *Limit) over(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	return l.err
}

// wait waits until a call in l is done, and no longer than l lasts. It reports whether the call is done.
func (l *Limit) wait(done <-chan struct{}) bool {
	if timed, _ := l.made(); timed != nil {
		select {
		case <-done:
			return true
		case <-timed.Done():
			return false
		}
	}
	timer := time.NewTimer(time.Until(l.deadline))
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		l.over(context.DeadlineExceeded) // the timer of a context that was made meanwhile may come a moment later
		return false
	case <-l.parent.Done():
		return false
	}
}

// End ends the context.
func (l *Limit) End() {
	l.over(context.Canceled)
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	if end != nil {
		end()
	}
}
