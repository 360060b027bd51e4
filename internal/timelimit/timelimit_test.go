package timelimit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errLate = errors.New("the time is over")

// A Context is as those of package context makes them, whether its timer has been made before it ends or not.
func TestContextEndsAsThoseOfPackageContext(t *testing.T) {
	gone := errors.New("the user has gone")
	for name, test := range map[string]struct {
		end        func(l *Context, caller context.CancelCauseFunc)
		err, cause error
	}{
		"End":        {func(l *Context, _ context.CancelCauseFunc) { l.End() }, context.Canceled, context.Canceled},
		"the caller": {func(_ *Context, caller context.CancelCauseFunc) { caller(gone) }, context.Canceled, gone},
		"the time":   {func(*Context, context.CancelCauseFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded, errLate},
		"the time, then End": {func(l *Context, _ context.CancelCauseFunc) {
			time.Sleep(time.Minute)
			synctest.Wait() // the timer of l fires at the moment at which the sleep ends, before or after it
			_ = l.Err()
			l.End()
		}, context.DeadlineExceeded, errLate},
		"the caller, and End": {func(l *Context, caller context.CancelCauseFunc) { caller(gone); _ = l.Err(); l.End() }, context.Canceled, gone},
	} {
		for _, used := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, caller := context.WithCancelCause(t.Context())
				defer caller(nil)
				l := New(parent, time.Minute, errLate)
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
				if exceeded := l.Exceeded(); exceeded != (test.cause == errLate) {
					t.Errorf("%s, used %t: its time is over: %t", name, used, exceeded)
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

// What a Context has said once it says for good: whatever happens to it, in whatever order, and wherever in between it is asked for something,
// its error stays, and its cause, and contexts and functions below it get the same.
func TestContextEndsOnce(t *testing.T) {
	type subject struct {
		l      *Context
		caller context.CancelFunc
		look   func()
	}
	steps := map[string]func(subject){
		"the caller goes": func(s subject) { s.caller() },
		"the time passes": func(subject) { time.Sleep(time.Minute); synctest.Wait() },
		"End":             func(s subject) { s.l.End() },
		"Err":             func(s subject) { s.look() },
		"Done":            func(s subject) { s.l.Done() },
		"Wait":            func(s subject) { s.l.Wait(nil); s.look() },
	}
	const length = 4
	var try func(names []string, deadline time.Duration)
	try = func(names []string, deadline time.Duration) {
		if len(names) < length {
			for name := range steps {
				if name != "Wait" || !slices.Contains(names, "End") {
					try(append(slices.Clone(names), name), deadline)
				}
			}
			return
		}
		parent, end := context.WithTimeout(context.Background(), deadline)
		defer end()
		parent, caller := context.WithCancelCause(parent)
		l := New(parent, time.Minute, errLate)
		var first error
		var exceeded bool
		look := func() {
			switch err := l.Err(); {
			case first == nil:
				first, exceeded = err, l.Exceeded()
			case err != first || l.Exceeded() != exceeded:
				t.Errorf("%q: %v, its time is over: %t; before that it was %v, %t", names, err, l.Exceeded(), first, exceeded)
			}
		}
		for _, name := range names {
			steps[name](subject{l, func() { caller(errors.New("the user has gone")) }, look})
		}
		l.End()
		look()
		caller(errors.New("later"))
		time.Sleep(2 * time.Hour)
		child, cancel := context.WithCancel(l)
		defer cancel()
		ran := make(chan struct{})
		context.AfterFunc(l, func() { close(ran) })
		<-ran
		<-l.Done()
		<-child.Done()
		look()
		if cause := context.Cause(l); child.Err() != first || context.Cause(child) != cause || (cause == errLate) != exceeded || exceeded && first != context.DeadlineExceeded {
			t.Errorf("%q: %v, because %v, its time is over: %t; a context below: %v, because %v", names, first, cause, exceeded, child.Err(), context.Cause(child))
		}
	}
	for _, deadline := range []time.Duration{30 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) { try(nil, deadline) })
	}
}

// The earlier of two deadlines is the one that a store sees.
func TestContextHasTheEarlierDeadline(t *testing.T) {
	for _, seconds := range []time.Duration{30, 90} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
			defer cancel()
			l := New(parent, time.Minute, errLate)
			defer l.End()
			if at, ok := l.Deadline(); !ok || time.Until(at) != min(seconds*time.Second, time.Minute) {
				t.Errorf("in %v", time.Until(at))
			}
		})
	}
}
