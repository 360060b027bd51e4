package redis

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/timelimit"
)

// newCallStore is a store with what calls need, and no connection.
func newCallStore(slots int) *Store {
	return &Store{opt: Options{Timeout: time.Second}, slots: make(chan struct{}, slots)}
}

// A call returns with the context of its caller, whatever the client does meanwhile, and keeps its slot until the client has returned.
func TestCallEndsWithItsCaller(t *testing.T) {
	hung := func(released <-chan struct{}) func(context.Context) (int, error) {
		return func(context.Context) (int, error) { <-released; return 1, nil }
	}
	for _, test := range []struct {
		name string
		call func(*Store, context.Context, func(context.Context) (int, error)) (int, error)
	}{{"a change", call[int]}, {"a read", read[int]}} {
		for cause, want := range map[error]time.Duration{context.Canceled: 300 * time.Millisecond, context.DeadlineExceeded: time.Second} {
			t.Run(test.name+", "+cause.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, released := newCallStore(1), make(chan struct{})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if cause == context.Canceled {
						time.AfterFunc(want, cancel)
					}
					start := time.Now()
					if _, err := test.call(s, ctx, hung(released)); !errors.Is(err, cause) {
						t.Errorf("returned %v, want %v", err, cause)
					}
					if waited := time.Since(start); waited != want {
						t.Errorf("returned after %v, want %v", waited, want)
					}
					synctest.Wait()
					if len(s.slots) != 1 {
						t.Error("the slot is free while the client still runs")
					}
					close(released)
					synctest.Wait()
					if len(s.slots) != 0 {
						t.Error("the slot is still taken when the client has returned")
					}
				})
			})
		}
	}
}

// A change is told that its caller has gone. A read goes on, so that its connection is there for the next one, but no longer than Options.Timeout.
func TestContextOfClientEndsForChangesOnly(t *testing.T) {
	ended := func(t *testing.T, call func(*Store, context.Context, func(context.Context) (int, error)) (int, error)) (after time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s := newCallStore(1)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			start := time.Now()
			call(s, ctx, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				after = time.Since(start)
				return 0, ctx.Err()
			})
			time.Sleep(time.Minute)
		})
		return after
	}
	got := []time.Duration{ended(t, call[int]), ended(t, read[int])}
	if diff := cmp.Diff([]time.Duration{300 * time.Millisecond, time.Second}, got); diff != "" {
		t.Errorf("the client's context ended (-want +got):\n%s", diff)
	}
}

// A caller that finds no slot waits no longer than its context, and its work never begins.
func TestCallWithoutSlotEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCallStore(1)
		s.slots <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := call(s, ctx, func(context.Context) (int, error) { t.Error("the work began"); return 0, nil })
		if waited := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || waited != 300*time.Millisecond {
			t.Errorf("%v after %v", err, waited)
		}
		if _, err := read(s, ctx, func(context.Context) (int, error) { t.Error("the work began"); return 0, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read of a caller that has gone: %v", err)
		}
		if len(s.slots) != 1 {
			t.Errorf("%d slots taken", len(s.slots))
		}
	})
}

// A client that panics costs its call an error, and frees the slot.
func TestPanicOfClientIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCallStore(1)
		_, err := call(s, t.Context(), func(context.Context) (int, error) { panic("broken") })
		if err == nil || err.Error() != "the client panicked: broken" {
			t.Errorf("got %v", err)
		}
		if len(s.slots) != 0 {
			t.Error("the slot is still taken")
		}
	})
}

// A caller that has a goroutine for the call and does not wait beyond its context, as a cache has, lends it: the client ends with Options.Timeout.
func TestReadOnTheGoroutineOfACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCallStore(1)
		caller, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := timelimit.Guarded(caller, 100*time.Millisecond, context.DeadlineExceeded)
		defer ctx.End()
		var inner context.Context
		begun := time.Now()
		_, err := read(s, ctx, func(ctx context.Context) (int, error) {
			inner = ctx
			below, end := context.WithCancel(ctx)
			defer end()
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second || ctx.Err() != nil {
				t.Errorf("%v is left, %v", time.Until(at), ctx.Err())
			}
			cancel()
			<-ctx.Done()
			<-below.Done()
			return 0, errors.New("i/o timeout")
		})
		if waited := time.Since(begun); err != context.DeadlineExceeded || waited != time.Second {
			t.Errorf("%v after %v", err, waited)
		}
		if len(s.slots) != 0 {
			t.Error("the slot is still taken")
		}
		if inner.Err() != context.DeadlineExceeded {
			t.Errorf("the client's context: %v", inner.Err())
		}
		if _, err := read(s, ctx, func(context.Context) (int, error) { t.Error("the work began"); return 0, nil }); err == nil {
			t.Error("a caller that has gone can begin")
		}
	})
}

// The context of a client ends with its call, and one that waits for a slot with its caller.
func TestReadOnTheGoroutineOfACallerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCallStore(1)
		ctx := timelimit.Guarded(t.Context(), 100*time.Millisecond, context.DeadlineExceeded)
		defer ctx.End()
		for _, waits := range []bool{false, true} {
			var inner context.Context
			got, err := read(s, ctx, func(ctx context.Context) (int, error) {
				if inner = ctx; waits {
					ctx.Done()
				}
				return 7, nil
			})
			if got != 7 || err != nil || inner.Err() != context.Canceled {
				t.Errorf("%d, %v, and then %v", got, err, inner.Err())
			}
			<-inner.Done()
		}
		if s.answered.Load() != 2 {
			t.Errorf("%d answers", s.answered.Load())
		}
		s.slots <- struct{}{}
		begun := time.Now()
		if _, err := read(s, ctx, func(context.Context) (int, error) { t.Error("the work began"); return 0, nil }); err != context.DeadlineExceeded || time.Since(begun) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
