package durable

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// PendingInvalidations are the invalidations that a store has not acknowledged yet. This process does not serve the responses that they are about.
// Those that the store refused are retried, by a timer that runs as long as there are any.
//
// mu guards the state and is not held while the store is called. Either the timer is set, or one goroutine, the timer's, retries (cancel is not nil),
// or nothing was refused: startRetries and schedule set the timer under the lock only if neither is so. The goroutine ends with retry;
// close stops the timer, or cancels the goroutine and waits for done.
type PendingInvalidations struct {
	retry  func(context.Context) // tries each refused invalidation once
	paused atomic.Bool           // the timer is set, and an answer of the store may bring it forward; read without the lock at each answer

	mu     sync.Mutex             // guards the fields below
	list   []*pendingInvalidation // never written to, but replaced: snapshots share it
	before time.Time              // responses that were received earlier count as invalidated, for there were more than maxPending
	all    bool                   // and the store is to be cleared for that
	timer  *time.Timer
	due    time.Time          // when the timer ends
	tried  time.Time          // when the last retry ended
	pause  time.Duration      // before the next retry
	cancel context.CancelFunc // ends the retry that is under way; nil for none
	done   chan struct{}      // closed when that has ended
	closed bool
}

// A pendingInvalidation is some tags that are to get new generations.
type pendingInvalidation struct {
	invalidation.TagList
	refused bool // the store was told, and did not take it; until then the first attempt is under way
}

func newPendingInvalidation(tags []invalidation.Tag, refused bool) *pendingInvalidation {
	d := &pendingInvalidation{refused: refused}
	for _, t := range tags {
		d.Add(t)
	}
	return d
}

const (
	// maxPending bounds the invalidations that are remembered, each once however often it comes. Beyond it the store is to be cleared.
	maxPending = 1024

	// firstPause and lastPause bound the pause before a retry: twice as long each time, give or take a quarter.
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second

	// nudgedPause is the pause if the store has answered meanwhile.
	nudgedPause = 200 * time.Millisecond

	// retryPatience is how many times as long as for a request a store may take for one call of a retry.
	retryPatience = 10
)

// add remembers an invalidation before the store is told. If the same one is remembered already, the new one takes its place,
// for the store's acknowledgement of the earlier one says nothing about responses that were stored since:
//
//	first: is sent to the store   a response is stored   second: is added   the store takes the first   the second remains
func (d *PendingInvalidations) add(tags []invalidation.Tag) *pendingInvalidation {
	d.mu.Lock()
	defer d.mu.Unlock()
	pending := newPendingInvalidation(tags, false)
	if i := slices.IndexFunc(d.list, func(old *pendingInvalidation) bool { return old.refused && slices.Equal(old.Tags, pending.Tags) }); i >= 0 {
		d.list = slices.Clone(d.list)
		d.list[i] = pending
		return pending
	}
	if len(d.list) >= maxPending {
		d.list, d.before, d.all = nil, time.Now(), true
	}
	d.list = append(slices.Clone(d.list), pending)
	return pending
}

// acknowledge notes that the store has taken an invalidation, except for the tags that are left.
func (d *PendingInvalidations) acknowledge(pending *pendingInvalidation, left []invalidation.Tag) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.list, pending)
	if i < 0 {
		return
	}
	d.list = slices.Clone(d.list)
	if len(left) == 0 {
		d.list = slices.Delete(d.list, i, i+1)
		return
	}
	d.list[i] = newPendingInvalidation(left, true)
}

// A pendingSnapshot is what was pending at one moment. A lookup takes one before it reads the store, for an invalidation may be acknowledged in between:
//
//	we: read the generations   the store takes an invalidation: they change   we: ask what is pending, and it is nothing
type pendingSnapshot struct {
	list   []*pendingInvalidation
	before time.Time
}

func (d *PendingInvalidations) snapshot() pendingSnapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pendingSnapshot{d.list, d.before}
}

// concerns reports whether a response has been invalidated, and the store did not know that.
func (a pendingSnapshot) concerns(e *stored.Entry) bool {
	return !e.Received.After(a.before) || slices.ContainsFunc(a.list, func(pending *pendingInvalidation) bool {
		return slices.ContainsFunc(e.Tags, func(t invalidation.Tag) bool { return pending.Find(t) >= 0 })
	})
}

// remaining returns the invalidations that are to be retried, and whether the store is to be cleared of everything that was received before since.
func (d *PendingInvalidations) remaining() (refused []*pendingInvalidation, all bool, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unacknowledged(), d.all, d.before
}

// unacknowledged returns the invalidations that the store refused. The lock is held.
func (d *PendingInvalidations) unacknowledged() (refused []*pendingInvalidation) {
	for _, pending := range d.list {
		if pending.refused {
			refused = append(refused, pending)
		}
	}
	return refused
}

// Count returns how many invalidations the store has refused. A store that is to be cleared counts as one more.
func (d *PendingInvalidations) Count() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int64(len(d.unacknowledged()))
	if d.all {
		n++
	}
	return n
}

// cleared notes that the store has been cleared, or cannot be, unless it is to be cleared of more since then.
func (d *PendingInvalidations) cleared(since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = d.all && !d.before.Equal(since)
}

// startRetries sets the timer, if something was refused and neither the timer nor a retry is under way.
func (d *PendingInvalidations) startRetries() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil && d.cancel == nil {
		d.schedule(firstPause)
	}
}

// schedule sets the timer if something was refused. The lock is held.
func (d *PendingInvalidations) schedule(pause time.Duration) {
	d.timer = nil
	if d.paused.Store(false); d.closed || !d.all && len(d.unacknowledged()) == 0 {
		return
	}
	d.pause = pause
	wait := pause*3/4 + time.Duration(mathrand.Int64N(int64(pause/2)))
	d.due = time.Now().Add(wait)
	d.timer = time.AfterFunc(wait, d.retryNow)
	d.paused.Store(true)
}

// storeAnswered brings the timer forward: the store answers, perhaps again. If the timer fires at the same time, Stop fails, and the retry runs as it is.
func (d *PendingInvalidations) storeAnswered() {
	if !d.paused.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	soon := d.tried.Add(nudgedPause)
	if !d.paused.Swap(false) || !soon.Before(d.due) || !d.timer.Stop() {
		return
	}
	d.due = soon
	d.timer = time.AfterFunc(time.Until(soon), d.retryNow)
}

// retryNow retries once, on the goroutine of the timer, and sets the timer anew.
func (d *PendingInvalidations) retryNow() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	d.timer, d.cancel, d.done = nil, cancel, done
	d.paused.Store(false)
	d.mu.Unlock()
	defer close(done)
	d.retry(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	cancel()
	d.cancel, d.tried = nil, time.Now()
	d.schedule(min(2*d.pause, lastPause))
}

// close stops the timer, or cancels the retry that is under way and waits for it. Nothing is scheduled afterwards.
func (d *PendingInvalidations) close() {
	d.mu.Lock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	cancel, done := d.cancel, d.done
	d.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// DeleteTagged gives the tags new generations, which invalidates what is stored under the old ones. What the store does not take now,
// this process remembers and retries. The order matters: pending before L1 before the store, so that at no moment an invalidated response is served here.
func (d *Store) DeleteTagged(ctx context.Context, tags []invalidation.Tag) error {
	pending := d.Pending.add(tags)
	d.L1.invalidated(tags)
	left, err := d.renew(ctx, d.Client, tags)
	d.Pending.acknowledge(pending, left)
	d.Pending.startRetries()
	if err != nil {
		err = fmt.Errorf("the store has not taken an invalidation, which is retried until it does: %w", err)
	}
	return err
}

// maxRetries is how many invalidations a store may refuse in a row before the retry leaves it alone until the next one.
const maxRetries = 8

// retryPending retries the refused invalidations once, beginning with a random one, so that one which is refused again and again does not keep out the others.
// If the store hangs, it leaves the rest for the next time.
func (d *Store) retryPending(ctx context.Context) {
	due, all, since := d.Pending.remaining()
	if all && errors.Is(d.retryClear(ctx, since), storeclient.ErrStoreHangs) || len(due) == 0 {
		return
	}
	refused, first := 0, mathrand.IntN(len(due))
	for i := range due {
		pending := due[(first+i)%len(due)]
		left, err := d.renew(ctx, d.retryClient, pending.Tags)
		d.Pending.acknowledge(pending, left)
		if refused++; err == nil {
			refused = 0
		}
		if ctx.Err() != nil || refused == maxRetries || errors.Is(err, storeclient.ErrStoreHangs) || errors.Is(err, storeclient.ErrStoreDown) {
			return
		}
	}
}

// retryClear clears the store, because the invalidations themselves are forgotten. A store that cannot be cleared is not asked again.
func (d *Store) retryClear(ctx context.Context, since time.Time) error {
	client := d.Client.Patient(clearPatience)
	err := storeclient.Call(ctx, client, client.Writes, d.Clear)
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		d.Pending.cleared(since)
	}
	return err
}

// clearPatience is how long clearing a store may take.
const clearPatience = 30 * time.Second

// pendingAtClose is the error of a cache that is closed before the store has taken all invalidations.
func (d *Store) pendingAtClose() error {
	n := d.Pending.Count()
	if n == 0 {
		return nil
	}
	return fmt.Errorf("cache: close: the store has not taken %d invalidations: other processes that share it may serve what they are about until it expires", n)
}
