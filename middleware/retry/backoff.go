package retry

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// A Backoff returns how long to wait before retry n, which counts from 1. Negative means zero.
// last is the outcome of the attempt before; its Wait is the wait before that attempt, zero for the first.
// A Backoff is called concurrently, and so must not keep state of a call.
type Backoff func(n int, last Outcome) time.Duration

// FullJitter returns the backoff with a random wait up to a bound: base, doubled with each retry, at most limit.
// It spreads the retries of clients that fail together.
func FullJitter(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration { return below(exponential(base, limit, n)) }
}

// EqualJitter returns the backoff with a random wait between half the bound of [FullJitter] and all of it.
func EqualJitter(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration {
		d := exponential(base, limit, n)
		return d/2 + below(d-d/2)
	}
}

// DecorrelatedJitter returns the backoff with a random wait between base and three times the wait before, at most limit.
func DecorrelatedJitter(base, limit time.Duration) Backoff {
	return func(_ int, last Outcome) time.Duration {
		top := min(max(last.Wait, base), limit/3) * 3
		return min(limit, base+below(top-base))
	}
}

// Exponential returns the backoff that waits base, doubled with each retry, at most limit. It has no jitter:
// clients that fail together retry together.
func Exponential(base, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration { return exponential(base, limit, n) }
}

// Linear returns the backoff that waits n times step before retry n, at most limit.
func Linear(step, limit time.Duration) Backoff {
	return func(n int, _ Outcome) time.Duration {
		if step > 0 && int64(n) > int64(limit/step) {
			return limit
		}
		return min(limit, step*time.Duration(n))
	}
}

// Constant returns the backoff that waits d before each retry.
func Constant(d time.Duration) Backoff {
	return func(int, Outcome) time.Duration { return d }
}

const (
	defaultBase      = 100 * time.Millisecond
	defaultThrottled = time.Second
	defaultLimit     = 20 * time.Second
)

// defaultBackoff is full jitter, from one second after 429 and 503, the statuses of overload.
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
