package storeclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A call ends with its time or its caller, whether the store has looked at its context or not.
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
