package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/store"
)

// pace is how often a notice is looked at: after a quarter of the time that it has been waited for already, within these bounds.
type pace struct{ least, most time.Duration }

var (
	alonePace    = pace{5 * time.Millisecond, 250 * time.Millisecond}
	notifiedPace = pace{100 * time.Millisecond, time.Second} // the store says when to look, but a message may be lost
)

// await waits until a notice is gone, or another one is in its place.
func (l *leases) await(ctx context.Context, n *notice, over <-chan time.Time) error {
	rung, hush := l.listen(n.key)
	defer hush()
	guard, begun := l.durable.guard, time.Now()
	if err := l.wave(ctx, n); err != nil {
		return err
	}
	pause := time.NewTimer(l.pace.after(0))
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-rung:
		case <-over:
			return errOverdue
		case <-l.closing:
			return fmt.Errorf("%w: %w", errCallerGone, errOff)
		case <-ctx.Done():
			return late(ctx)
		}
		records, err := guard.get(ctx, n.key)
		if err != nil {
			return err
		}
		if now, err := readNotice(n.key, records[0]); err != nil || now.by != n.by || now.parting != inTurn {
			return nil
		}
		pause.Reset(l.pace.after(time.Since(begun)))
	}
}

// after is how long to wait before the next look.
func (p pace) after(waited time.Duration) time.Duration { return min(max(waited/4, p.least), p.most) }

// wave has the one who holds a lease know that somebody waits.
func (l *leases) wave(ctx context.Context, n *notice) error {
	if n.awaited {
		return nil
	}
	seen := *n
	seen.awaited = true
	err := l.durable.guard.put(ctx, n.key, seen.record(n.until))
	if errors.Is(err, store.ErrConflict) {
		return nil // it has been given back, or somebody else has waved
	}
	return err
}

// listen returns a channel on which the store's word comes that a notice may have changed.
func (l *leases) listen(key string) (rung <-chan struct{}, hush func()) {
	bell := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bells[key] = append(l.bells[key], bell)
	return bell, func() { l.unlisten(key, bell) }
}

func (l *leases) unlisten(key string, bell chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []chan struct{}
	for _, other := range l.bells[key] {
		if other != bell {
			rest = append(rest, other)
		}
	}
	if l.bells[key] = rest; rest == nil {
		delete(l.bells, key)
	}
}

// ring hears that a record may have changed; "" stands for all.
func (l *leases) ring(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, bells := range l.bells {
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
