package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/timelimit"
	goredis "github.com/redis/go-redis/v9"
)

// call runs f, and returns when it does or when the context is done, whatever comes first. The client looks at deadlines, not at cancellation,
// so f runs in a goroutine of its own. That one keeps its slot until it is over, which is at most Options.Timeout after it began:
// a hung server holds no more goroutines than there are slots.
//
// What f returns is f's until then. It must not touch what belongs to the caller of the store.
func call[T any](s *Store, ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	return during(s, ctx, ctx, func() {}, f)
}

// read is call for what only reads. It goes on for up to Options.Timeout after the caller has gone, so that a connection that takes longer to set up
// than a caller waits, which is three round trips and more, is there for the next one. A change must not take effect after its caller was told that it has failed.
//
// Where the caller has a goroutine for this call and does not wait beyond its context, as a cache does, f runs on that one.
func read[T any](s *Store, ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	if timelimit.IsGuarded(ctx) {
		return readHere(s, ctx, f)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	inner, end := context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
	return during(s, ctx, inner, end, f)
}

// readHere is read on the caller's goroutine. The slot is free when it returns.
func readHere[T any](s *Store, ctx context.Context, f func(context.Context) (T, error)) (value T, err error) {
	if err := ctx.Err(); err != nil {
		return value, err
	}
	if err := s.enter(ctx); err != nil {
		return value, err
	}
	defer func() { <-s.slots }()
	inner := &until{Context: ctx, end: time.Now().Add(s.opt.Timeout)}
	defer inner.stop()
	if value, err = f(inner); err == nil || isReply(err) {
		s.answered.Add(1)
	}
	if err != nil && inner.Err() != nil { // the connection says so in its own words
		err = context.DeadlineExceeded
	}
	return value, err
}

// until is a context with the values of another one, and an end of its own. The client asks each context for Done, whether it waits or not,
// so what that takes is little.
type until struct {
	context.Context // for its values
	end             time.Time

	mu    sync.Mutex    // guards the fields below
	done  chan struct{} // nil until Done has made it
	timer *time.Timer   // closes done
	over  error         // once done is closed, or would be
}

func (u *until) Deadline() (time.Time, bool) { return u.end, true }

func (u *until) Done() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done == nil {
		u.done = make(chan struct{})
		if u.over != nil {
			close(u.done)
		} else {
			u.timer = time.AfterFunc(time.Until(u.end), u.exceed)
		}
	}
	return u.done
}

func (u *until) Err() error {
	if !time.Now().Before(u.end) {
		u.exceed()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.over
}

func (u *until) exceed() { u.finish(context.DeadlineExceeded) }

func (u *until) stop() { u.finish(context.Canceled) }

// finish ends the context for a reason, unless it has ended.
func (u *until) finish(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over != nil {
		return
	}
	u.over = err
	if u.done != nil {
		u.timer.Stop()
		close(u.done)
	}
}

// enter takes a slot.
func (s *Store) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// during runs f in the context inner, which it ends, and waits for it as long as ctx says.
func during[T any](s *Store, ctx, inner context.Context, end func(), f func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		end()
		return zero, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		end()
		return zero, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // has room, so that the goroutine ends though the caller has gone
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil { // the guard around a store sees the panics of its own goroutine only
				r.err = fmt.Errorf("the client panicked: %v", p)
			}
			// The slot is free before the caller hears of the end: it may begin the next call at once.
			end()
			<-s.slots
			done <- r
		}()
		r.value, r.err = f(inner)
		if r.err == nil || isReply(r.err) {
			s.answered.Add(1)
		}
	}()
	select {
	case r := <-done:
		if d, _ := ctx.Deadline(); r.err != nil && !time.Now().Before(d) { // the connection's deadline may come before the context's timer
			return zero, context.DeadlineExceeded
		}
		return r.value, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// isReply tells errors that a server sent.
func isReply(err error) bool {
	var e goredis.Error
	return errors.As(err, &e)
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %s: %w", op, redact(err))
}
