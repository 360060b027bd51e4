package storeclient

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// However a job ends, at once or after Await has stopped waiting, its end is told once and Shutdown returns.
func TestAwaitTellsTheEndOfEachJobOnce(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		end  func() error
		want error // nil for any error
		good bool
	}{
		"success": {func() error { return nil }, nil, true},
		"error":   {func() error { return failed }, failed, false},
		"panic":   {func() error { panic("a panic") }, nil, false},
		"Goexit":  {func() error { runtime.Goexit(); return nil }, errExited, false},
	} {
		for _, takes := range []time.Duration{0, 2 * MaxWait} {
			t.Run(name+" after "+takes.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var w Workers
					w.Init(time.Hour)
					told := make(chan error, 2)
					w.Await(t.Context(), func(context.Context) error {
						time.Sleep(takes)
						return test.end()
					}, func(err error) { told <- err })
					time.Sleep(3 * MaxWait)
					w.Shutdown(time.Minute)
					if len(told) != 1 {
						t.Fatalf("the end was told %d times", len(told))
					}
					if err := <-told; (err == nil) != test.good || test.want != nil && !errors.Is(err, test.want) {
						t.Errorf("%v, want %v", err, test.want)
					}
				})
			})
		}
	}
}

// A caller that leaves waits for a job no longer, and the job goes on.
func TestAwaitLastsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Workers
		w.Init(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		told := make(chan error, 1)
		began := time.Now()
		w.Await(ctx, func(context.Context) error { time.Sleep(5 * time.Millisecond); return nil }, func(err error) { told <- err })
		if took := time.Since(began); took != time.Millisecond {
			t.Errorf("it waited %v", took)
		}
		if err := <-told; err != nil {
			t.Error(err)
		}
		w.Shutdown(time.Minute)
	})
}
