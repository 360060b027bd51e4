package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// guard stands before a store that is not in this process's memory, so that none of its faults is one of a request:
// a call that does not return in time, whatever the store makes of its context, or that panics, is an error.
type guard struct {
	store   Store
	timeout time.Duration
	calls   chan struct{} // holds one for each call that has not returned
}

// maxStoreCalls bounds the calls of a store that hang. Beyond it, the store is not called.
const maxStoreCalls = 1024

var (
	errStoreHangs = errors.New("the store did not return in time")
	errStoreBusy  = errors.New("too many calls of the store have not returned")
)

func newGuard(store Store, timeout time.Duration) *guard {
	return &guard{store: store, timeout: timeout, calls: make(chan struct{}, maxStoreCalls)}
}

// Get returns what is stored under key.
func (g *guard) Get(ctx context.Context, key string) (set *Set, err error) {
	result := make(chan *Set, 1)
	err = g.call(ctx, func(ctx context.Context) error {
		set, err := g.store.Get(ctx, key)
		result <- set
		return err
	})
	if err != nil {
		return nil, err
	}
	return (<-result).under(key), nil
}

// Update replaces what is stored under key.
func (g *guard) Update(ctx context.Context, key string, change func(*Set) *Set) error {
	return g.call(ctx, func(ctx context.Context) error {
		return g.store.Update(ctx, key, func(old *Set) *Set { return change(old.under(key)) })
	})
}

// DeleteTagged removes every set that has an entry with this tag.
func (g *guard) DeleteTagged(ctx context.Context, tag string) error {
	return g.call(ctx, func(ctx context.Context) error { return g.store.DeleteTagged(ctx, tag) })
}

// call runs f on a goroutine of its own, and does not wait for it longer than the timeout.
func (g *guard) call(ctx context.Context, f func(context.Context) error) error {
	select {
	case g.calls <- struct{}{}:
	default:
		return errStoreBusy
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.timeout, errStoreHangs)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() { <-g.calls }()
		done <- recovered(ctx, f)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// recovered runs f and makes an error of its panic.
func recovered(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store has panicked: %v", v)
		}
	}()
	return f(ctx)
}

// under returns s without what was not stored under key, or nil if nothing else is there.
func (s *Set) under(key string) *Set {
	return s.without(func(e *Entry) bool { return e.key != key })
}
