package cache_test

import (
	"context"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// A caller whose context has no end carries out the exchange that others share, on its own goroutine; what they get is the same.
func TestCallerWithEndlessContextCarriesOutTheSharedExchange(t *testing.T) {
	for _, test := range []struct {
		name     string
		first    func()
		asked    int64
		returned int64
		panicked any
	}{
		{"answer", func() {}, 1, 10, nil},
		{"panic below", func() { panic("below") }, 2, 9, "below"},
		{"Goexit below", runtime.Goexit, 2, 9, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var own atomic.Int64
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					if strings.Contains(string(debug.Stack()), "cache_test.reads") {
						own.Add(1)
					}
					time.Sleep(time.Millisecond)
					if n == 1 {
						test.first()
					}
					return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				var returned atomic.Int64
				var panicked atomic.Value
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						defer func() {
							if value := recover(); value != nil {
								panicked.Store(value)
							}
						}()
						if _, _, err := reads(rt, ask(t, context.Background()), "k"); err == nil {
							returned.Add(1)
						}
					})
				}
				wg.Wait()
				if returned.Load() != test.returned || o.asked.Load() != test.asked {
					t.Errorf("%d returned, %d requests; want %d and %d", returned.Load(), o.asked.Load(), test.returned, test.asked)
				}
				if own.Load() != test.asked {
					t.Errorf("%d of %d requests came from a caller's goroutine", own.Load(), test.asked)
				}
				if got := panicked.Load(); got != test.panicked {
					t.Errorf("panic %v, want %v", got, test.panicked)
				}
				nothingInFlight(t, c)
			})
		})
	}
}

// Those who have joined the exchange of a caller that cannot leave may leave it themselves, at once.
func TestWaiterLeavesTheExchangeOfACallerWithEndlessContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(time.Second)
			return sends(sealed("k", n, 10), "Cache-Control: max-age=60"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := reads(rt, ask(t, context.Background()), "k"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, _, err := reads(rt, ask(t, ctx), "k"); err == nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		wg.Wait()
		if o.asked.Load() != 1 {
			t.Errorf("%d requests", o.asked.Load())
		}
		nothingInFlight(t, c)
	})
}
