package storeclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A Limit is a context as package context makes them, whether its timer has been made before it ends or not.
func TestLimitEndsAsAContextDoes(t *testing.T) {
	gone := errors.New("the user has gone")
	for name, test := range map[string]struct {
		end        func(l *Limit, caller context.CancelCauseFunc)
		err, cause error
		told       error // what a call that was given up returns, or wraps
	}{
		"End":                 {func(l *Limit, _ context.CancelCauseFunc) { l.End() }, context.Canceled, context.Canceled, ErrCallerGone},
		"the caller":          {func(_ *Limit, caller context.CancelCauseFunc) { caller(gone) }, context.Canceled, gone, ErrCallerGone},
		"the time":            {func(*Limit, context.CancelCauseFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded, ErrStoreHangs, ErrStoreHangs},
		"the time, then End":  {func(l *Limit, _ context.CancelCauseFunc) { time.Sleep(time.Minute); _ = l.Err(); l.End() }, context.DeadlineExceeded, ErrStoreHangs, ErrStoreHangs},
		"the caller, and End": {func(l *Limit, caller context.CancelCauseFunc) { caller(gone); _ = l.Err(); l.End() }, context.Canceled, gone, ErrCallerGone},
	} {
		for _, used := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, caller := context.WithCancelCause(t.Context())
				defer caller(nil)
				l := (&Client{Timeout: time.Minute}).Within(parent)
				defer l.End()
				var below context.Context
				if used {
					child, end := context.WithCancel(l)
					defer end()
					below = child
				}
				if l.Err() != nil || context.Cause(l) != nil {
					t.Fatalf("%s: ended at once: %v", name, l.Err())
				}
				test.end(l, caller)
				synctest.Wait()
				if err := l.Err(); err != test.err {
					t.Errorf("%s, used %t: %v, want %v", name, used, err, test.err)
				}
				if err := ContextError(l); !errors.Is(err, test.told) {
					t.Errorf("%s, used %t: the call returns %v, want %v", name, used, err, test.told)
				}
				if below == nil {
					child, end := context.WithCancel(l)
					defer end()
					below = child
				}
				<-l.Done()
				<-below.Done()
				for what, ctx := range map[string]context.Context{"the limit": l, "a context below": below} {
					if err, cause := ctx.Err(), context.Cause(ctx); err != test.err || !errors.Is(cause, test.cause) {
						t.Errorf("%s, used %t, %s: %v, because %v, want %v, because %v", name, used, what, err, cause, test.err, test.cause)
					}
				}
			})
		}
	}
}

// A call in it ends with it, whether the store has looked at its context or not.
func TestCallEndsWithItsLimit(t *testing.T) {
	for name, hang := range map[string]func(ctx context.Context, over <-chan struct{}){
		"asleep":  func(_ context.Context, over <-chan struct{}) { <-over },
		"on Done": func(ctx context.Context, _ <-chan struct{}) { <-ctx.Done() },
		"below Done": func(ctx context.Context, _ <-chan struct{}) {
			c, end := context.WithCancel(ctx)
			defer end()
			<-c.Done()
		},
	} {
		for _, canceled := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				g := &Client{Timeout: time.Minute}
				l := &lane{slots: make(chan struct{}, 1)}
				parent, cancel := context.WithCancel(t.Context())
				defer cancel()
				want, takes := ErrStoreHangs, time.Minute
				if canceled {
					want, takes = ErrCallerGone, time.Second
					time.AfterFunc(takes, cancel)
				}
				begun := time.Now()
				err := Call(parent, g, l, func(ctx context.Context) error { hang(ctx, over); return ctx.Err() })
				if took := time.Since(begun); !errors.Is(err, want) || took != takes {
					t.Errorf("%s: %v after %v, want %v after %v", name, err, took, want, takes)
				}
			})
		}
	}
}

// The earlier of two deadlines is the one that a store sees.
func TestLimitHasTheEarlierDeadline(t *testing.T) {
	for _, seconds := range []time.Duration{30, 90} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
			defer cancel()
			l := (&Client{Timeout: time.Minute}).Within(parent)
			defer l.End()
			if at, ok := l.Deadline(); !ok || time.Until(at) != min(seconds*time.Second, time.Minute) {
				t.Errorf("in %v", time.Until(at))
			}
		})
	}
}
