package storeclient

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Workers do what no request waits for, on a bounded number of goroutines. Call Init first.
//
// Each job has a goroutine, which ends with the job, and a context that ends with the job's limit or with Shutdown. wg counts the goroutines:
// Add happens under mu with closed false, and Shutdown sets closed before it waits, so no job is added while it does.
// Its owner calls Init once, before any job, and Shutdown once, at the end.
type Workers struct {
	ctx    context.Context // done when Shutdown is over
	cancel context.CancelFunc
	limit  time.Duration // for one job

	mu     sync.Mutex // guards the fields below
	jobs   int
	names  map[string]struct{} // of the jobs that must not run twice at one time
	closed bool
	wg     sync.WaitGroup
}

// maxJobs bounds the jobs at one time.
const maxJobs = 64

// Init prepares workers whose jobs take no longer than limit.
func (c *Workers) Init(limit time.Duration) {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.limit, c.names = limit, make(map[string]struct{})
}

// Go runs job on a goroutine of its own. It is false if there are too many already, or after Shutdown. A panic of the job is dropped.
// It does not wait for the job, so it may be called on a request's goroutine.
func (c *Workers) Go(job func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.jobs >= maxJobs {
		return false
	}
	// wg.Go is called under the lock under which Shutdown sets closed: so it comes before Shutdown's Wait, or not at all.
	c.jobs++
	c.wg.Go(func() {
		defer c.done()
		ctx, cancel := context.WithTimeoutCause(c.ctx, c.limit, ErrStoreHangs)
		defer cancel()
		Recovered(ctx, func(ctx context.Context) (struct{}, error) { job(ctx); return struct{}{}, nil })
	})
	return true
}

// GoOnce is Go, unless a job with this name is under way.
// The name is claimed before the job starts. It is free again when the job has ended, a panic included, or has not started.
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

// claim and its insertion are one critical section: of two callers with one name, one starts the job.
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

// Then runs f on a goroutine of its own, for what follows a job that is under way: it does not count as a job. A panic of f is dropped.
// After Shutdown it does nothing.
// f may wait for a job, whose context Shutdown ends; so Shutdown, which waits for f too, ends all the same.
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

// Await runs job, and waits for it a moment, and no longer than ctx lasts. ended is called once with its error: before Await returns or, if the job takes longer, on a goroutine
// of its own, unless Shutdown comes before. Of job and caller, whichever is late finds the result in the buffered channel.
// It blocks for MaxWait at most, besides ended. The caller holds no lock that job or ended may need.
func (c *Workers) Await(ctx context.Context, job func(context.Context) error, ended func(error)) {
	done := make(chan error, 1)
	started := c.Go(func(ctx context.Context) {
		err := errExited
		defer func() { done <- err }() // also if the job exits its goroutine: what waits for done must end
		_, err = Recovered(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, job(ctx) })
	})
	if !started {
		ended(ErrBusy)
		return
	}
	timer := time.NewTimer(MaxWait)
	defer timer.Stop()
	select {
	case err := <-done:
		ended(err)
		return
	case <-ctx.Done():
	case <-timer.C:
	}
	// The job sends once, on each way out, so this goroutine ends when the job does.
	c.Then(func() { ended(<-done) })
}

// It runs before wg counts the goroutine as ended, so there are never more jobs counted than goroutines.
func (c *Workers) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs--
}

// Shutdown takes no more jobs, waits for those that are under way as long as patience, and then cancels the rest and waits for that.
// It blocks until each job has returned: a job that ignores its context holds it up. The caller holds no lock that a job may need.
func (c *Workers) Shutdown(patience time.Duration) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	// Without the lock: done and release take it, and Wait waits for them.
	defer time.AfterFunc(patience, c.cancel).Stop()
	c.wg.Wait()
	c.cancel()
}

// MaxWait is how long the end of a body, or a validation, waits for a byte store. What takes longer goes on in the background.
const MaxWait = 10 * time.Millisecond

// ErrBusy is the error of a job that was not started.
var ErrBusy = errors.New("the store has too much to do")

// errExited is the error of a job that ended its goroutine with runtime.Goexit.
var errExited = errors.New("a call of the store exited its goroutine")
