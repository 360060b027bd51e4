package cache

import (
	"context"
	"sync"
	"time"
)

// A crew does what nobody waits for, on a bounded number of goroutines. The zero crew is not hired yet.
type crew struct {
	ctx    context.Context // done when the crew is dismissed
	cancel context.CancelFunc
	limit  time.Duration // for one job

	mu     sync.Mutex // guards the fields below
	jobs   int
	names  map[string]struct{} // of those that must not run twice at one time
	closed bool
	wg     sync.WaitGroup
}

// maxJobs bounds the jobs of a crew at one time.
const maxJobs = 64

// hire readies a crew whose jobs take no longer than limit.
func (c *crew) hire(limit time.Duration) {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.limit, c.names = limit, make(map[string]struct{})
}

// start runs job on a goroutine of its own. It is false if there are too many already, or the crew has been dismissed.
func (c *crew) start(job func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.jobs >= maxJobs {
		return false
	}
	c.jobs++
	c.wg.Go(func() {
		defer c.done()
		ctx, cancel := context.WithTimeoutCause(c.ctx, c.limit, errStoreHangs)
		defer cancel()
		recovered(ctx, func(ctx context.Context) (struct{}, error) { job(ctx); return struct{}{}, nil })
	})
	return true
}

// once is start, unless a job with this name is under way.
func (c *crew) once(name string, job func(context.Context)) {
	if !c.claim(name) {
		return
	}
	started := c.start(func(ctx context.Context) {
		defer c.release(name)
		job(ctx)
	})
	if !started {
		c.release(name)
	}
}

func (c *crew) claim(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, busy := c.names[name]; busy {
		return false
	}
	c.names[name] = struct{}{}
	return true
}

func (c *crew) release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, name)
}

// follow runs what comes after a job that is under way. A hook of the user's that panics there has nobody to tell.
func (c *crew) follow(f func()) {
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

// soon does something that the caller waits for a moment. told hears how it has ended, if that is before the crew is dismissed.
func (c *crew) soon(job func(context.Context) error, told func(error)) {
	done := make(chan error, 1)
	started := c.start(func(ctx context.Context) {
		_, err := recovered(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, job(ctx) })
		done <- err
	})
	if !started {
		told(errBusy)
		return
	}
	timer := time.NewTimer(maxHold)
	defer timer.Stop()
	select {
	case err := <-done:
		told(err)
	case <-timer.C:
		c.follow(func() { told(<-done) })
	}
}

func (c *crew) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs--
}

// dismiss takes no more jobs, waits for those that are under way for a while, and ends what is left.
func (c *crew) dismiss(patience time.Duration) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	defer time.AfterFunc(patience, c.cancel).Stop()
	c.wg.Wait()
	c.cancel()
}
