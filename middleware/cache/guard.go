package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/store"
)

// guard stands before a store, so that none of its faults is one of a request. A call that does not return in time, whatever the store makes
// of its context, or that panics, is an error. A store that fails again and again is left alone until it answers a probe:
// as a whole if it cannot be read, and with changes alone if only these hang.
type guard struct {
	store   store.Store
	multi   store.MultiGetter // the same, or nil
	timeout time.Duration
	reads   *lane
	writes  *lane
	insists bool   // the store is called though it is down: no request waits for it
	answers func() // called when the store has answered; must return at once
}

// A lane is the calls of one sort, those that read or those that change something. Each has room of its own, so that neither sort waits for the other.
type lane struct {
	slots   chan struct{} // holds one for each call that has not returned
	breaker breaker
	probe   func(context.Context) error
}

const (
	// maxStoreReads and maxStoreWrites bound the calls that are under way, those that hang included.
	maxStoreReads  = 192
	maxStoreWrites = 64
)

var (
	errStoreHangs = errors.New("the store did not return in time")
	errStoreDown  = errors.New("the store has failed before and is not asked for now")
	errCallerGone = errors.New("the caller has gone")
	errUnheard    = errors.New("the store returned another number of records than it was asked for")
)

func newGuard(s store.Store, timeout time.Duration) *guard {
	g := &guard{store: s, timeout: timeout, answers: func() {}}
	g.multi, _ = store.As[store.MultiGetter](s)
	g.reads = &lane{slots: make(chan struct{}, maxStoreReads), probe: func(ctx context.Context) error {
		_, err := s.Get(ctx, setupKey)
		return err
	}}
	g.writes = &lane{slots: make(chan struct{}, maxStoreWrites), probe: func(ctx context.Context) error {
		// A record whose time is over is not kept.
		return s.Put(ctx, probeKey, store.Record{Data: []byte("probe"), Expires: time.Unix(1, 0), Kind: store.KindSetup})
	}}
	return g
}

// probeKey is the key of a record that is never there.
const probeKey = "p1.probe"

// patient returns a guard for what no request waits for: its calls may take longer, and are made though the store is down.
func (g *guard) patient(timeout time.Duration) *guard {
	p := *g
	p.timeout, p.insists = timeout, true
	return &p
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
	return guarded(ctx, g, g.reads, func(ctx context.Context) ([]store.Record, error) { return g.getAll(ctx, keys) })
}

func (g *guard) getAll(ctx context.Context, keys []string) ([]store.Record, error) {
	if g.multi != nil && len(keys) > 1 {
		records, err := g.multi.GetMulti(ctx, keys)
		if err == nil && len(records) != len(keys) {
			err = errUnheard
		}
		if !errors.Is(err, store.ErrNewer) {
			return records, err
		}
	}
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = g.store.Get(ctx, key); errors.Is(err, store.ErrNewer) {
			records[i], err = newerRecord, nil // it costs its own key, and not the others
		}
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

// put stores a record. Nobody may change the record's bytes afterwards: a store that hangs may still read them.
func (g *guard) put(ctx context.Context, key string, r store.Record) error {
	return g.change(ctx, func(ctx context.Context) error { return g.store.Put(ctx, key, r) })
}

// delete removes some records, whatever their versions are.
func (g *guard) delete(ctx context.Context, keys ...string) error {
	return g.change(ctx, func(ctx context.Context) error {
		for _, key := range keys {
			if err := g.store.Delete(ctx, key, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteVersion removes a record unless it has changed.
func (g *guard) deleteVersion(ctx context.Context, key, version string) error {
	return g.change(ctx, func(ctx context.Context) error { return g.store.Delete(ctx, key, version) })
}

func (g *guard) change(ctx context.Context, f func(context.Context) error) error {
	_, err := guarded(ctx, g, g.writes, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// guarded makes one call of the store.
func guarded[T any](ctx context.Context, g *guard, l *lane, call func(context.Context) (T, error)) (result T, err error) {
	began := time.Now()
	if g.leaves(l, began) {
		return result, errStoreDown
	}
	if result, err = called(ctx, g, l, call); !g.insists {
		g.note(l, err, began, time.Now())
	}
	if err == nil {
		g.answers()
	}
	return result, err
}

// leaves reports whether the store is not to be called now, and sends a probe if it is time for one.
func (g *guard) leaves(l *lane, now time.Time) bool {
	if g.insists {
		return g.reads.breaker.isClosed()
	}
	for _, l := range [...]*lane{g.reads, l} { // a store that cannot be read is not written to either
		if probe, down := l.breaker.state(now); down {
			if probe {
				go g.probe(l)
			}
			return true
		}
	}
	return false
}

// failing reports whether the latest call of either sort has failed.
func (g *guard) failing() bool { return g.reads.breaker.failing() || g.writes.breaker.failing() }

// note takes in the outcome of a call. That a record has changed, is too large or a newer one, or that the caller has gone says nothing against the store.
// A store that refuses a change at once is there; one that refuses to be read is asked by a probe whether it is.
func (g *guard) note(l *lane, err error, began, now time.Time) {
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrNewer):
		l.breaker.fine()
	case errors.Is(err, errCallerGone):
	case errors.Is(err, errStoreHangs) && now.Sub(began) < g.timeout/2: // calls before it have used up the time
	case errors.Is(err, errStoreHangs):
		l.breaker.hung(began, now)
	case l == g.writes:
		l.breaker.refused()
	case l.breaker.doubted():
		go g.probe(l)
	}
}

// called runs call on a goroutine of its own and does not wait for it longer than the timeout. The goroutine stays while the store hangs.
func called[T any](ctx context.Context, g *guard, l *lane, call func(context.Context) (T, error)) (result T, err error) {
	type outcome struct {
		result T
		err    error
	}
	ctx, cancel := g.within(ctx)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return result, late(ctx)
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-l.slots }()
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
	if !g.reads.breaker.close() || !g.writes.breaker.close() {
		return
	}
	g.reads.breaker.probes.Wait()
	g.writes.breaker.probes.Wait()
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	for _, l := range [...]*lane{g.reads, g.writes} {
		for range cap(l.slots) {
			select {
			case l.slots <- struct{}{}:
			case <-timer.C:
				return
			}
		}
	}
}

// probe asks a store that was down, or may be, whether it is there. No request waits for it. A store that refuses a change at once is there.
func (g *guard) probe(l *lane) {
	defer l.breaker.probes.Done()
	_, err := called(context.Background(), g, l, func(ctx context.Context) (struct{}, error) { return struct{}{}, l.probe(ctx) })
	up := err == nil || errors.Is(err, store.ErrNewer) || l == g.writes && !errors.Is(err, errStoreHangs)
	l.breaker.probed(up, time.Now())
	if up {
		g.answers()
	}
}
