package breaker_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/breaker"
)

// A hook that panics harms its own request alone: the request that was to be the probe makes room for another.
func TestHookThatPanicsLeavesTheBreakerAtWork(t *testing.T) {
	for _, at := range []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed} {
		t.Run(at.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				panics := 0
				b := newBreaker(t, breaker.Options{MinRequests: 1, OnChange: func(c breaker.Change) {
					if c.To == at && panics == 0 {
						panics++
						panic("the hook")
					}
				}})
				origin := plytest.NewOrigin(plytest.Status(500), plytest.Text("ok"), plytest.Text("ok"), plytest.Text("ok"))
				h := b.Middleware(origin)
				for range 3 {
					func() {
						defer func() { _ = recover() }()
						send(t.Context(), h, http.MethodGet)
					}()
					time.Sleep(6 * time.Second)
				}
				if status, err := send(t.Context(), h, http.MethodGet); status != 200 || err != nil || panics != 1 || b.State("a.test") != breaker.Closed {
					t.Errorf("got %d and %v after %d panics, %v", status, err, panics, b.State("a.test"))
				}
			})
		})
	}
}

// A probe that is late fails on the goroutine of a timer. What the hook panics with then comes to light on that of the caller, where it can be recovered.
func TestHookThatPanicsForALateProbePanicsForTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		b := newBreaker(t, breaker.Options{MinRequests: 1, OnChange: func(c breaker.Change) {
			if c.To == breaker.Open {
				if opened++; opened == 2 {
					panic("the hook")
				}
			}
		}})
		h := b.Middleware(plytest.NewOrigin(plytest.Status(500), plytest.Reply{Wait: time.Minute}, plytest.Text("ok")))
		send(t.Context(), h, http.MethodGet)
		time.Sleep(6 * time.Second)
		start := time.Now()
		func() {
			defer func() {
				if p := recover(); p != "the hook" || time.Since(start) != time.Minute {
					t.Errorf("recovered %v after %v", p, time.Since(start))
				}
			}()
			send(context.Background(), h, http.MethodGet)
		}()
		if status, err := send(t.Context(), h, http.MethodGet); status != 200 || err != nil {
			t.Errorf("got %d and %v", status, err)
		}
	})
}
