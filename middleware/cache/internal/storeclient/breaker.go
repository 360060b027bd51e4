package storeclient

import (
	"sync"
	"time"
)

// breaker is a circuit breaker for the calls of one lane. The zero breaker is closed: calls are made.
//
// It has three states. Up: calls are made, and hangs are counted. Down, after tolerance hangs in a row, or after a probe that failed: no call is made.
// Half open: one caller at a time, claimed under the lock, sends a probe, whose outcome decides:
//
//	caller A: state says down, and probe   caller B: state says down alone   probe ends: probed sets up or down, and the next time
//
// No method blocks, or calls the store, under mu. Outcomes may arrive late and out of order: a call that began before the store went down
// may succeed after it. Only a probe sets the store up again.
type breaker struct {
	probes sync.WaitGroup // the probe that is under way; the client's Close waits for it

	mu       sync.Mutex // guards the fields below
	failed   bool       // the latest call has failed
	hangs    int        // in a row; of several at a time one counts
	lastHang time.Time  // when the latest that counts was given up
	refusals int        // in a row
	down     bool
	// Set by claim, cleared by probed: in between, exactly one probe is under way.
	probing bool
	closed  bool      // the store is not called any more, nor probed
	next    time.Time // when a probe may be sent
}

const (
	// tolerance is how many failures in a row it takes until a store counts as down.
	tolerance = 5

	// probeInterval is how long a store that is down is left alone between two probes.
	probeInterval = 500 * time.Millisecond
)

// state reports whether the store is down, and if so, whether the caller must send a probe.
// A caller that gets probe must start the probe: only its end clears probing, and Close waits for it.
func (b *breaker) state(now time.Time) (probe, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down && b.claim(now), b.down || b.closed
}

// claim reports whether the caller must send a probe. probes.Add happens under the lock, so that it cannot race with the Wait of Close, which closes first.
// The lock is held.
func (b *breaker) claim(now time.Time) bool {
	if b.probing || b.closed || now.Before(b.next) {
		return false
	}
	b.probing = true
	b.probes.Add(1)
	return true
}

// succeeded notes a call that has succeeded.
// It does not set down to false: that is for the probe.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs, b.refusals = false, 0, 0
}

// hung notes a call that has not returned in time. Calls that were under way at one time may have one cause, such as a connection that is being set up:
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

// refused notes a change that has failed at once, which says that the store is there.
func (b *breaker) refused() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs = true, 0
}

// refusedRead notes a read that has failed at once. It reports whether the caller must send a probe, which finds out whether the store is there:
// it may be that only this record cannot be read.
func (b *breaker) refusedRead() (probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.hangs = true, 0
	b.refusals++
	return b.refusals >= tolerance && !b.down && b.claim(time.Now())
}

// probed notes the outcome of a probe.
// The client's probe calls it once for each claim, before probes.Done.
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

// close has no more calls made. It reports whether the breaker was not closed before.
func (b *breaker) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.closed
	b.closed = true
	return !again
}
