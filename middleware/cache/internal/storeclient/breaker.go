package storeclient

import (
	"sync"
	"time"
)

// breaker remembers whether calls of one sort are of use. The zero breaker says so.
type breaker struct {
	probes sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	failed   bool       // the latest call
	hangs    int        // in a row; of several at a time one counts
	lastHang time.Time  // when the latest that counts was given up
	refusals int        // in a row
	down     bool
	probing  bool
	closed   bool      // the store is not called any more
	next     time.Time // when a probe may be sent
}

const (
	// tolerance is how many failures in a row it takes until a store counts as down.
	tolerance = 5

	// probeInterval is how long a store that is down is left alone between two probes.
	probeInterval = 500 * time.Millisecond
)

// state reports whether the store is down, and whether the caller has to send a probe then.
func (b *breaker) state(now time.Time) (probe, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down && b.claim(now), b.down || b.closed
}

// claim reports whether the caller has to send a probe. The lock is held.
func (b *breaker) claim(now time.Time) bool {
	if b.probing || b.closed || now.Before(b.next) {
		return false
	}
	b.probing = true
	b.probes.Add(1)
	return true
}

// succeeded takes in a call that has succeeded.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs, b.refusals = false, 0, 0
}

// hung takes in a call that has not returned in time. Calls that were under way at one time may have one cause, such as a connection that is being set up:
// they count once.
func (b *breaker) hung(began, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = true
	if began.Before(b.lastHang) {
		return
	}
	b.lastHang = now
	if b.hangs++; b.hangs >= tolerance && !b.down {
		b.down, b.next = true, now.Add(probeInterval)
	}
}

// refused takes in a call that has failed at once, which says that the store is there.
func (b *breaker) refused() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs = true, 0
}

// refusedRead takes in a call that has failed at once. It reports whether the caller has to send a probe, which says whether the store is away:
// it may be the record alone that cannot be had.
func (b *breaker) refusedRead() (probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs = true, 0
	b.refusals++
	return b.refusals >= tolerance && !b.down && b.claim(time.Now())
}

// probed takes in the outcome of a probe.
func (b *breaker) probed(up bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing, b.down, b.hangs, b.refusals = false, !up, 0, 0
	if b.next = now.Add(probeInterval); up {
		b.failed = false
	}
}

// IsDown reports whether the store is left alone.
func (b *breaker) IsDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// failing reports whether the latest call has failed.
func (b *breaker) failing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

func (b *breaker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// close reports whether the breaker was not closed before.
func (b *breaker) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.closed
	b.closed = true
	return !again
}
