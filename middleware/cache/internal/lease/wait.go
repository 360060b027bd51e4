package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/store"
)

// pace is how often a waiter looks at a lease record: after a quarter of the time that it has waited already, within these bounds.
type pace struct{ least, most time.Duration }

var (
	alonePace    = pace{5 * time.Millisecond, 250 * time.Millisecond}
	notifiedPace = pace{100 * time.Millisecond, time.Second} // the store says when to look, but a message may be lost
)

// Wait waits until a lease record is gone, or another one is in its place. It subscribes before it looks, so that no change escapes it:
//
//	we: subscribe   we: mark as contended   they: give back, the store notifies us   we: wake, look
//
// The caller holds no lock and no lease. over bounds all waits of one fetch; Wait neither makes nor stops it.
func (l *Leases) Wait(ctx context.Context, n *Record, over <-chan time.Time) error {
	// The order matters. A subscription made after the mark could miss the notification of a holder that gives back in between,
	// and a mark is what makes the holder leave word instead of deleting its record.
	changed, unsubscribe := l.onRecordChange(n.key)
	defer unsubscribe()
	// From here until unsubscribe, onChange may send to changed. It has room for one, so no sender waits for this goroutine.
	client, begun := l.Store.Client, time.Now()
	if err := l.notifyHolder(ctx, n); err != nil {
		return err
	}
	pause := time.NewTimer(l.pace.after(0))
	defer pause.Stop()
	for {
		// No lock is held while it waits. Close ends the wait, and so do the caller's context and the time for all waits of a fetch.
		select {
		case <-pause.C:
		case <-changed:
		case <-over:
			return ErrOverdue
		case <-l.closing:
			return fmt.Errorf("%w: %w", storeclient.ErrCallerGone, ErrOff)
		case <-ctx.Done():
			return storeclient.ContextError(ctx)
		}
		records, err := client.Get(ctx, n.key)
		if err != nil {
			return err
		}
		// A damaged record, or that of another holder, ends this wait: the next Acquire decides.
		if now, err := readRecord(n.key, records[0]); err != nil || now.by != n.by || now.Release != ReleaseInTurn {
			return nil
		}
		pause.Reset(l.pace.after(time.Since(begun)))
	}
}

// after is how long to wait before the next look.
func (p pace) after(waited time.Duration) time.Duration { return min(max(waited/4, p.least), p.most) }

// notifyHolder marks the lease record as contended, so that its holder leaves word how the waiters go on.
// It blocks for one call of the store. After it, the holder's release reads the mark, or the next Get of Wait finds the record gone.
func (l *Leases) notifyHolder(ctx context.Context, n *Record) error {
	if n.contended {
		return nil
	}
	// The put is conditional on the version that was read (record passes it on), so it can neither undo a release nor mark the lease of a later holder.
	seen := *n
	seen.contended = true
	err := l.Store.Client.Put(ctx, n.key, seen.record(n.until))
	if errors.Is(err, store.ErrConflict) {
		return nil // it has been given back, or another waiter has marked it
	}
	return err
}

// onRecordChange returns a channel that receives when the store notifies that a lease record may have changed. The channel holds one such notification:
// a waiter reads the record after each, so that two need no more than one look. The caller must call unsubscribe.
// The caller holds no lock.
func (l *Leases) onRecordChange(key string) (changed <-chan struct{}, unsubscribe func()) {
	waiter := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters[key] = append(l.waiters[key], waiter)
	return waiter, func() { l.removeWaiter(key, waiter) }
}

// removeWaiter forgets a waiter, and with its last one the key.
// A message that was sent before is lost with the channel, which is not closed: onChange may be about to send.
func (l *Leases) removeWaiter(key string, waiter chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []chan struct{}
	for _, other := range l.waiters[key] {
		if other != waiter {
			rest = append(rest, other)
		}
	}
	if l.waiters[key] = rest; rest == nil {
		delete(l.waiters, key)
	}
}

// onChange wakes the waiters for a key that may have changed; "" stands for all. The store calls it, so it must not wait.
// It sends under mu, and never blocks there: the channels have room for one.
func (l *Leases) onChange(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, waiters := range l.waiters {
		if key != "" && key != name {
			continue
		}
		for _, waiter := range waiters {
			select {
			case waiter <- struct{}{}:
			default: // it has one already
			}
		}
	}
}
