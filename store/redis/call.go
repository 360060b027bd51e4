package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

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
func read[T any](s *Store, ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	inner, end := context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
	return during(s, ctx, inner, end, f)
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
