package storeclient

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Workers does what nobody waits for, on a bounded number of goroutines. The zero crew is not hired yet.
type Workers struct {
	ctx    context.Context // done when the crew is dismissed
	cancel context.CancelFunc
	limit  time.Duration // for one job

	mu     sync.Mutex // guards the fields below
	jobs   int
	names  map[string]struct{} // Generation those that must not run twice at one time
	closed bool
	wg     sync.WaitGroup
}

// maxJobs bounds the jobs of a crew at one time.
const maxJobs = 64

// Init readies a crew whose jobs take no longer than limit.
func (c *Workers) Init(limit time.Duration) {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.limit, c.names = limit, make(map[string]struct{})
}

// Go runs job on a goroutine of its own. It is false if there are too many already, or the crew has been dismissed.
func (c *Workers) Go(job func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.jobs >= maxJobs {
		return false
	}
	c.jobs++
	c.wg.Go(func() {
		defer c.done()
		ctx, cancel := context.WithTimeoutCause(c.ctx, c.limit, ErrStoreHangs)
		defer cancel()
		Recovered(ctx, func(ctx context.Context) (struct{}, error) { job(ctx); return struct{}{}, nil })
	})
	return true
}

// GoOnce is start, unless a job with this name is under way.
func (c *Workers) GoOnce(name string, job func(context.Context)) {
	if !c.claim(name) {
		return
	}
	started := c.Go(func(ctx context.Context) {
		defer c.release(name)
		job(ctx)
	})
	if !started {
		c.release(name)
	}
}

func (c *Workers) claim(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, busy := c.names[name]; busy {
		return false
	}
	c.names[name] = struct{}{}
	return true
}

func (c *Workers) release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, name)
}

// Then runs what comes after a job that is under way. A hook of the user's that panics there has nobody to tell.
func (c *Workers) Then(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.wg.Go(func() {
		defer func() { recover() }()
		f()
	})
}

// Await does something that the caller waits for a moment. told hears how it has ended, if that is before the crew is dismissed.
func (c *Workers) Await(job func(context.Context) error, told func(error)) {
	done := make(chan error, 1)
	started := c.Go(func(ctx context.Context) {
		_, err := Recovered(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, job(ctx) })
		done <- err
	})
	if !started {
		told(ErrBusy)
		return
	}
	timer := time.NewTimer(MaxWait)
	defer timer.Stop()
	select {
	case err := <-done:
		told(err)
	case <-timer.C:
		c.Then(func() { told(<-done) })
	}
}

func (c *Workers) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs--
}

// Shutdown takes no more jobs, waits for those that are under way for a while, and ends what is left.
func (c *Workers) Shutdown(patience time.Duration) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	defer time.AfterFunc(patience, c.cancel).Stop()
	c.wg.Wait()
	c.cancel()
}

// MaxWait is how long the end of a body, or a validation, waits for a byte store. What takes longer goes on behind the caller's back.
const MaxWait = 10 * time.Millisecond

var ErrBusy = errors.New("the store has too much to do")
