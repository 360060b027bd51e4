package retry

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// A Backoff returns how long to wait before retry n, which counts from 1. Negative means zero.
// The outcome is that of the attempt before; its Wait is what was waited before that attempt, zero for the first.
// It is called concurrently, and so keeps no state of a call.
//
// A constant wait is func(int, retry.Outcome) time.Duration { return time.Second }; [Constant] is that function by name.
type Backoff func(n int, last Outcome) time.Duration

// FullJitter waits a random time up to base, doubled with each retry, and never more than limit.
// Clients that fail together come back apart.
func FullJitter(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration { return below(exponential(base, limit, n)) }
}

// EqualJitter waits between half of what [FullJitter] waits at most and all of it.
func EqualJitter(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration {
		d := exponential(base, limit, n)
		return d/2 + below(d-d/2)
	}
}

// DecorrelatedJitter waits a random time between base and three times the wait before, and never more than limit.
func DecorrelatedJitter(base, limit time.Duration) Backoff {
	return func(_ int, last Outcome) time.Duration {
		top := min(max(last.Wait, base), limit/3) * 3
		return min(limit, base+below(top-base))
	}
}

// Exponential waits base, doubled with each retry, and never more than limit. It has no jitter:
// clients that fail together come back together.
func Exponential(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration { return exponential(base, limit, n) }
}

// Linear waits step longer before each retry, and never more than limit.
func Linear(step, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration {
		if step > 0 && int64(n) > int64(limit/step) {
			return limit
		}
		return min(limit, step*time.Duration(n))
	}
}

// Constant waits d before each retry.
func Constant(d time.Duration) Backoff {
	return func(int, Outcome) time.Duration { return d }
}

const (
	defaultBase      = 100 * time.Millisecond
	defaultThrottled = time.Second
	defaultLimit     = 20 * time.Second
)

// defaultBackoff starts from more after the two statuses that say "too much".
func defaultBackoff(n int, last Outcome) time.Duration {
	base := defaultBase
	if last.Status == http.StatusTooManyRequests || last.Status == http.StatusServiceUnavailable {
		base = defaultThrottled
	}
	return below(exponential(base, defaultLimit, n))
}

// exponential returns base·2ⁿ⁻¹, at most limit, for any n.
func exponential(base, limit time.Duration, n int) time.Duration {
	for ; n > 1 && base < limit; n-- {
		if base > limit/2 {
			return limit
		}
		base *= 2
	}
	return min(base, limit)
}

func below(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
