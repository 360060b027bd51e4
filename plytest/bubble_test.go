package plytest

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A failing check must not take the test binary down, nor hang: a bubble that cannot end is left behind.
func TestDeadlockedBubbleIsAbandoned(t *testing.T) {
	tests := []struct {
		name  string
		rule  Rule
		check func(*check)
		do    func(next http.RoundTripper) func(*http.Request) (*http.Response, error)
		want  string
	}{
		{"goroutine left", NoGoroutineLeft, (*check).noGoroutineLeft, func(next http.RoundTripper) func(*http.Request) (*http.Response, error) {
			never := make(chan struct{})
			return func(req *http.Request) (*http.Response, error) {
				go func() { <-never }()
				return next.RoundTrip(req)
			}
		}, "left behind"},
		{"call that does not return", BodyStreamed, (*check).bodyStreamed, func(http.RoundTripper) func(*http.Request) (*http.Response, error) {
			return func(req *http.Request) (*http.Response, error) {
				<-make(chan struct{})
				return nil, nil
			}
		}, "does not return"},
		{"mutex held in a panic", PanicPassed, (*check).panicPassed, func(next http.RoundTripper) func(*http.Request) (*http.Response, error) {
			var mu sync.Mutex
			return func(req *http.Request) (*http.Response, error) {
				mu.Lock()
				resp, err := next.RoundTrip(req)
				mu.Unlock()
				return resp, err
			}
		}, "do not return"},
		{"panic in the layer", BytesUnchanged, (*check).bytesUnchanged, func(http.RoundTripper) func(*http.Request) (*http.Response, error) {
			return func(*http.Request) (*http.Response, error) { panic("oops") }
		}, "panic: oops"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &check{rule: tt.rule, m: func(next http.RoundTripper) http.RoundTripper { return function(tt.do(next)) }}
			c.runInBubble(t, tt.check)
			if len(c.failures) == 0 || !strings.Contains(c.failures[0], tt.want) {
				t.Errorf("reported %q, want %q", c.failures, tt.want)
			}
		})
	}
}

type function func(*http.Request) (*http.Response, error)

func (f function) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A goroutine that has not come to its mutex yet is waited for, and one that waits there is not.
func TestWaitParkedEndsAtAMutex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var there atomic.Bool
		done := make(chan struct{})
		mu.Lock()
		go func() {
			defer close(done)
			for range 1000 {
				runtime.Gosched()
			}
			there.Store(true)
			mu.Lock()
			defer mu.Unlock()
		}()
		waitParked()
		if !there.Load() {
			t.Error("the goroutine was still on its way")
		}
		mu.Unlock()
		<-done
	})
}
