package retry_test

import (
	"context"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestDefaultBackoffBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			reply  plytest.Reply
			bounds []time.Duration
		}{
			{"from 100 ms", plytest.ResetConnection(), []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000}},
			{"from 1 s after 503", plytest.Status(503), []time.Duration{1000, 2000, 4000, 8000, 16000, 20000, 20000}},
		} {
			var waits []time.Duration
			o := retry.Options{MaxAttempts: len(tt.bounds) + 1, Budget: retry.Unlimited, OnRetry: func(_ context.Context, e retry.Event) { waits = append(waits, e.Wait) }}
			call(t, o, newRequest(t, "GET"), tt.reply)
			if len(waits) != len(tt.bounds) {
				t.Fatalf("%s: %d waits", tt.name, len(waits))
			}
			for i, w := range waits {
				if w < 0 || w >= tt.bounds[i]*time.Millisecond {
					t.Errorf("%s: wait %d is %s, not in [0, %d ms)", tt.name, i+1, w, tt.bounds[i])
				}
			}
		}
	})
}

func TestBackoffFunctions(t *testing.T) {
	const s = time.Second
	last := retry.Outcome{Wait: 4 * s}
	for _, tt := range []struct {
		name     string
		b        retry.Backoff
		n        int
		min, max time.Duration
	}{
		{"constant", retry.Constant(s), 7, s, s},
		{"linear", retry.Linear(s, 10*s), 3, 3 * s, 3 * s},
		{"linear, limit", retry.Linear(s, 10*s), 1 << 40, 10 * s, 10 * s},
		{"linear, zero step", retry.Linear(0, s), 5, 0, 0},
		{"linear, just below the limit", retry.Linear(3*s, 10*s), 3, 9 * s, 9 * s},
		{"exponential, half of an odd limit", retry.Exponential(2, 5), 2, 4, 4},
		{"exponential, from the limit", retry.Exponential(s, s), 2, s, s},
		{"exponential, of nothing", retry.Exponential(0, s), 2, 0, 0},
		{"exponential", retry.Exponential(s, 100*s), 4, 8 * s, 8 * s},
		{"exponential, limit", retry.Exponential(s, 10*s), 5, 10 * s, 10 * s},
		{"exponential, saturating", retry.Exponential(s, 1<<63-1), 1000, 1<<63 - 1, 1<<63 - 1},
		{"full jitter", retry.FullJitter(s, 100*s), 3, 0, 4 * s},
		{"full jitter, saturating", retry.FullJitter(s, 1<<63-1), 1000, 0, 1<<63 - 1},
		{"equal jitter", retry.EqualJitter(s, 100*s), 3, 2 * s, 4 * s},
		{"decorrelated", retry.DecorrelatedJitter(s, 100*s), 3, s, 12 * s},
		{"decorrelated, limit", retry.DecorrelatedJitter(s, 5*s), 3, s, 5 * s},
		{"decorrelated, saturating", retry.DecorrelatedJitter(s, 1<<63-1), 3, s, 12 * s},
	} {
		for range 100 {
			if got := tt.b(tt.n, last); got < tt.min || got > tt.max {
				t.Errorf("%s: %s is not between %s and %s", tt.name, got, tt.min, tt.max)
			}
		}
	}
	bubble(t, func(t *testing.T) {
		start := time.Now()
		call(t, retry.Options{Backoff: func(n int, _ retry.Outcome) time.Duration { return -s }}, newRequest(t, "GET"), plytest.ResetConnection())
		if time.Since(start) != 0 {
			t.Errorf("a negative wait took %s", time.Since(start))
		}
	})
}
