package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/store"
)

// pace is how often a notice is looked at: after a quarter of the time that it has been waited for already, within these bounds.
type pace struct{ least, most time.Duration }

var (
	alonePace    = pace{5 * time.Millisecond, 250 * time.Millisecond}
	notifiedPace = pace{100 * time.Millisecond, time.Second} // the store says when to look, but a message may be lost
)

// Wait waits until a notice is gone, or another one is in its place.
func (l *Leases) Wait(ctx context.Context, n *Record, over <-chan time.Time) error {
	rung, hush := l.onRecordChange(n.key)
	defer hush()
	guard, begun := l.Store.Client, time.Now()
	if err := l.notifyHolder(ctx, n); err != nil {
		return err
	}
	pause := time.NewTimer(l.pace.after(0))
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-rung:
		case <-over:
			return ErrOverdue
		case <-l.closing:
			return fmt.Errorf("%w: %w", storeclient.ErrCallerGone, ErrOff)
		case <-ctx.Done():
			return storeclient.ContextError(ctx)
		}
		records, err := guard.Get(ctx, n.key)
		if err != nil {
			return err
		}
		if now, err := readRecord(n.key, records[0]); err != nil || now.by != n.by || now.Release != ReleaseInTurn {
			return nil
		}
		pause.Reset(l.pace.after(time.Since(begun)))
	}
}

// after is how long to wait before the next look.
func (p pace) after(waited time.Duration) time.Duration { return min(max(waited/4, p.least), p.most) }

// notifyHolder has the one who holds a lease know that somebody waits.
func (l *Leases) notifyHolder(ctx context.Context, n *Record) error {
	if n.contended {
		return nil
	}
	seen := *n
	seen.contended = true
	err := l.Store.Client.Put(ctx, n.key, seen.record(n.until))
	if errors.Is(err, store.ErrConflict) {
		return nil // it has been given back, or somebody else has waved
	}
	return err
}

// onRecordChange returns a channel on which the store's word comes that a notice may have changed.
func (l *Leases) onRecordChange(key string) (rung <-chan struct{}, hush func()) {
	bell := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters[key] = append(l.waiters[key], bell)
	return bell, func() { l.removeWaiter(key, bell) }
}

func (l *Leases) removeWaiter(key string, bell chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []chan struct{}
	for _, other := range l.waiters[key] {
		if other != bell {
			rest = append(rest, other)
		}
	}
	if l.waiters[key] = rest; rest == nil {
		delete(l.waiters, key)
	}
}

// onChange hears that a record may have changed; "" stands for all.
func (l *Leases) onChange(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, bells := range l.waiters {
		if key != "" && key != name {
			continue
		}
		for _, bell := range bells {
			select {
			case bell <- struct{}{}:
			default: // it has been rung already
			}
		}
	}
}
