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

// PendingInvalidations are the invalidations that a store has not heard of yet. This process serves nothing that they are about.
// Those that the store did not take it is told again, by a timer that runs as long as something is owed.
type PendingInvalidations struct {
	retry  func(context.Context) // tells the store once
	paused atomic.Bool           // the timer runs, and what the store answers may bring it forward

	mu     sync.Mutex             // guards the fields below
	list   []*pendingInvalidation // never written to: it is replaced
	before time.Time              // what was received earlier counts as invalidated: there have been too many debts
	all    bool                   // and the store is to forget everything for them
	timer  *time.Timer
	due    time.Time          // when the timer ends
	tried  time.Time          // when the store was last told
	pause  time.Duration      // before it is told again
	cancel context.CancelFunc // Ends what is under way, nil for nothing
	done   chan struct{}      // closed when that has ended
	closed bool
}

// A pendingInvalidation is some tags that are to get new generations.
type pendingInvalidation struct {
	invalidation.TagList
	refused bool // the store has been told, and did not take it
}

func newPendingInvalidation(tags []invalidation.Tag, owed bool) *pendingInvalidation {
	d := &pendingInvalidation{refused: owed}
	for _, t := range tags {
		d.Add(t)
	}
	return d
}

const (
	// maxPending bounds the invalidations that are remembered, each once however often it comes. Beyond it the store is told to forget everything.
	maxPending = 1024

	// firstPause and lastPause are how long it takes until a store is told again: twice as long each time, give or take a fourth.
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second

	// nudgedPause is the same if the store has answered meanwhile.
	nudgedPause = 200 * time.Millisecond

	// retryPatience is how many timeouts of a request a store may take for one call that it is told again with.
	retryPatience = 10
)

// add notes an invalidation before the store is told. One that is owed already is not noted twice, and what the store takes of the earlier one pays nothing:
//
//	the store is told of the first   the second comes   the store takes the first
func (d *PendingInvalidations) add(tags []invalidation.Tag) *pendingInvalidation {
	d.mu.Lock()
	defer d.mu.Unlock()
	owing := newPendingInvalidation(tags, false)
	if i := slices.IndexFunc(d.list, func(old *pendingInvalidation) bool { return old.refused && slices.Equal(old.Tags, owing.Tags) }); i >= 0 {
		d.list = slices.Clone(d.list)
		d.list[i] = owing
		return owing
	}
	if len(d.list) >= maxPending {
		d.list, d.before, d.all = nil, time.Now(), true
	}
	d.list = append(slices.Clone(d.list), owing)
	return owing
}

// acknowledge takes in what the store has not taken of an invalidation, if anything.
func (d *PendingInvalidations) acknowledge(owing *pendingInvalidation, left []invalidation.Tag) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.list, owing)
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

// An pendingSnapshot is the debts at one moment. Whoever reads the store takes one before, for a debt may be paid between the reading and the judging:
//
//	we read the marks   a debt is paid: the marks change   we ask what is owed, and it is nothing
type pendingSnapshot struct {
	list   []*pendingInvalidation
	before time.Time
}

func (d *PendingInvalidations) snapshot() pendingSnapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pendingSnapshot{d.list, d.before}
}

// concerns reports whether a response is about something that the store did not know to be invalid.
func (a pendingSnapshot) concerns(e *stored.Entry) bool {
	return !e.Received.After(a.before) || slices.ContainsFunc(a.list, func(owing *pendingInvalidation) bool {
		return slices.ContainsFunc(e.Tags, func(t invalidation.Tag) bool { return owing.Find(t) >= 0 })
	})
}

// remaining returns what the store is to be told again. all reports whether that is to forget everything, and since when.
func (d *PendingInvalidations) remaining() (owed []*pendingInvalidation, all bool, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unacknowledged(), d.all, d.before
}

// unacknowledged returns what the store did not take. The lock is held.
func (d *PendingInvalidations) unacknowledged() (owed []*pendingInvalidation) {
	for _, owing := range d.list {
		if owing.refused {
			owed = append(owed, owing)
		}
	}
	return owed
}

// Count returns how many invalidations the store has not taken. Everything is one more.
func (d *PendingInvalidations) Count() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int64(len(d.unacknowledged()))
	if d.all {
		n++
	}
	return n
}

// cleared notes that the store has forgotten everything, or never will, unless there has been more to forget since.
func (d *PendingInvalidations) cleared(since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = d.all && !d.before.Equal(since)
}

// startRetries sets the timer, if something is owed and it does not run.
func (d *PendingInvalidations) startRetries() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil && d.cancel == nil {
		d.schedule(firstPause)
	}
}

// schedule sets the timer if something is owed. The lock is held.
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

// storeAnswered brings the timer forward: the store is there, perhaps again.
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

// retryNow tells the store of what is owed.
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

// close stops the timer, and ends what is under way.
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

// DeleteTagged gives the tags new generations: what is stored under the old ones is no more. What the store does not hear of now,
// this process remembers, and tells it again.
func (d *Store) DeleteTagged(ctx context.Context, tags []invalidation.Tag) error {
	owing := d.Pending.add(tags)
	d.L1.invalidated(tags)
	left, err := d.renew(ctx, d.Client, tags)
	d.Pending.acknowledge(owing, left)
	d.Pending.startRetries()
	if err != nil {
		err = fmt.Errorf("an invalidation is owed to the store, which is told again until it takes it: %w", err)
	}
	return err
}

// maxRetries is how many invalidations a store may refuse, one after the other, until it is left alone for the time being.
const maxRetries = 8

// retryPending tells the store once of what it did not take, beginning anywhere. What hangs again leaves the rest for the next time.
func (d *Store) retryPending(ctx context.Context) {
	due, all, since := d.Pending.remaining()
	if all && errors.Is(d.retryClear(ctx, since), storeclient.ErrStoreHangs) || len(due) == 0 {
		return
	}
	refused, first := 0, mathrand.IntN(len(due))
	for i := range due {
		owing := due[(first+i)%len(due)]
		left, err := d.renew(ctx, d.retryClient, owing.Tags)
		d.Pending.acknowledge(owing, left)
		if refused++; err == nil {
			refused = 0
		}
		if ctx.Err() != nil || refused == maxRetries || errors.Is(err, storeclient.ErrStoreHangs) || errors.Is(err, storeclient.ErrStoreDown) {
			return
		}
	}
}

// retryClear has the store forget everything, because nobody knows any more what it was to be told. A store that cannot do that is not asked again.
func (d *Store) retryClear(ctx context.Context, since time.Time) error {
	g := d.Client.Patient(clearPatience)
	_, err := storeclient.Call(ctx, g, g.Writes, func(ctx context.Context) (struct{}, error) { return struct{}{}, d.Clear(ctx) })
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		d.Pending.cleared(since)
	}
	return err
}

// clearPatience is how long a store may take to forget everything.
const clearPatience = 30 * time.Second

// pendingAtClose is the error of a cache that is closed before the store has taken all invalidations.
func (d *Store) pendingAtClose() error {
	n := d.Pending.Count()
	if n == 0 {
		return nil
	}
	return fmt.Errorf("cache: close: the store has not taken %d invalidations: other processes that share it may serve what they are about until it expires", n)
}
