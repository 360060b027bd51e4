package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plyhttp/ply/store"
)

// guard stands before a store, so that none of its faults is one of a request. A call that does not return in time, whatever the store makes
// of its context, or that panics, is an error. A store that fails again and again is left alone until it answers a probe.
type guard struct {
	store   Store
	multi   store.MultiGetter // the same, or nil
	timeout time.Duration
	slots   chan struct{} // holds one for each call that has not returned
	breaker breaker
	back    func() // called when the store has come back
}

// maxStoreCalls bounds the calls that are under way, those that hang included.
const maxStoreCalls = 256

var (
	errStoreHangs = errors.New("the store did not return in time")
	errStoreDown  = errors.New("the store has failed before and is not asked for now")
	errCallerGone = errors.New("the caller has gone")
	errUnheard    = errors.New("the store returned another number of records than it was asked for")
)

func newGuard(s Store, timeout time.Duration) *guard {
	g := &guard{store: s, timeout: timeout, slots: make(chan struct{}, maxStoreCalls)}
	g.multi, _ = s.(store.MultiGetter)
	return g
}

// within returns a context for what one request does with the store at one time: all its calls together wait no longer than the timeout.
func (g *guard) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, g.timeout, errStoreHangs)
}

// within returns a context for what one request does with the store at one time.
func (c *Cache) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.durable == nil {
		return ctx, func() {}
	}
	return c.durable.guard.within(ctx)
}

// get returns the records under some keys.
func (g *guard) get(ctx context.Context, keys ...string) ([]store.Record, error) {
	return guarded(ctx, g, func(ctx context.Context) ([]store.Record, error) { return g.getAll(ctx, keys) })
}

func (g *guard) getAll(ctx context.Context, keys []string) ([]store.Record, error) {
	if g.multi != nil && len(keys) > 1 {
		records, err := g.multi.GetMulti(ctx, keys)
		if err == nil && len(records) != len(keys) {
			err = errUnheard
		}
		return records, err
	}
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = g.store.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// put stores a record. Nobody may change the record's bytes afterwards: a store that hangs may still read them.
func (g *guard) put(ctx context.Context, key string, r store.Record) error {
	_, err := guarded(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.store.Put(ctx, key, r) })
	return err
}

// delete removes some records, whatever their versions are.
func (g *guard) delete(ctx context.Context, keys ...string) error {
	_, err := guarded(ctx, g, func(ctx context.Context) (struct{}, error) {
		for _, key := range keys {
			if err := g.store.Delete(ctx, key, ""); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// deleteVersion removes a record unless it has changed.
func (g *guard) deleteVersion(ctx context.Context, key, version string) error {
	_, err := guarded(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.store.Delete(ctx, key, version) })
	return err
}

// guarded makes one call of the store.
func guarded[T any](ctx context.Context, g *guard, call func(context.Context) (T, error)) (T, error) {
	if probe, down := g.breaker.state(time.Now()); down {
		if probe {
			go g.probe()
		}
		var none T
		return none, errStoreDown
	}
	result, err := called(ctx, g, call)
	g.breaker.note(err, time.Now())
	return result, err
}

// called runs call on a goroutine of its own and does not wait for it longer than the timeout. The goroutine stays while the store hangs.
func called[T any](ctx context.Context, g *guard, call func(context.Context) (T, error)) (result T, err error) {
	type outcome struct {
		result T
		err    error
	}
	ctx, cancel := g.within(ctx)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return result, late(ctx)
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-g.slots }()
		result, err := recovered(ctx, call)
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		if o.err != nil && ctx.Err() != nil {
			o.err = late(ctx) // the store heeds its context
		}
		return o.result, o.err
	case <-ctx.Done():
		return result, late(ctx)
	}
}

// late says whose fault it is that a call was not waited for.
func late(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != errStoreHangs {
		return fmt.Errorf("%w: %w", errCallerGone, cause)
	}
	return errStoreHangs
}

// recovered runs call and makes an error of its panic.
func recovered[T any](ctx context.Context, call func(context.Context) (T, error)) (result T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("a panic: %v", v)
		}
	}()
	return call(ctx)
}

// close keeps further calls away from the store, whose owner may close it then, and waits for those that are under way,
// no longer than a call may take. Who still reads a body is told that the store is down.
func (g *guard) close() {
	if !g.breaker.close() {
		return
	}
	g.breaker.probes.Wait()
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	for range cap(g.slots) {
		select {
		case g.slots <- struct{}{}:
		case <-timer.C:
			return
		}
	}
}

// probe asks a store that was down whether it is there again. No request waits for it.
func (g *guard) probe() {
	defer g.breaker.probes.Done()
	_, err := called(context.Background(), g, func(ctx context.Context) (store.Record, error) { return g.store.Get(ctx, setupKey) })
	g.breaker.probed(err, time.Now())
	if err == nil && g.back != nil {
		g.back()
	}
}

// breaker remembers whether a store is up. The zero breaker says so.
type breaker struct {
	probes sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	failures int        // in a row
	down     bool
	probing  bool
	closed   bool      // the store is not called any more
	next     time.Time // when a probe may be sent
}

const (
	// tolerance is how many failures in a row it takes until a store counts as down.
	tolerance = 5

	// probeInterval is how long a store that is down is left alone between two probes.
	probeInterval = 500 * time.Millisecond
)

// state tells whether the store is down, and whether the asker has to send a probe then.
func (b *breaker) state(now time.Time) (probe, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	probe = b.down && !b.probing && !b.closed && !now.Before(b.next)
	if probe {
		b.probing = true
		b.probes.Add(1)
	}
	return probe, b.down || b.closed
}

// note takes in the outcome of a call. That a record has changed, is too large, or that the caller has gone says nothing against the store.
func (b *breaker) note(err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrTooLarge):
		b.failures = 0
	case errors.Is(err, errCallerGone):
	default:
		if b.failures++; b.failures >= tolerance && !b.down {
			b.down, b.next = true, now.Add(probeInterval)
		}
	}
}

// probed takes in the outcome of a probe.
func (b *breaker) probed(err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if err == nil {
		b.down, b.failures = false, 0
		return
	}
	b.next = now.Add(probeInterval)
}

// isDown tells whether the store is left alone.
func (b *breaker) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// failing tells whether the latest call has failed.
func (b *breaker) failing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

// close tells whether the breaker was not closed before.
func (b *breaker) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.closed
	b.closed = true
	return !again
}
