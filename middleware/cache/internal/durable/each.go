package durable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// Each calls f with the responses under each key, which is empty: only its hash is known. Sets for which wanted is false are passed over, before their generations are read; nil wants all.
//
// It works on the records that the store lists, and does not read them again: a change is a compare-and-swap from the version that was listed,
// so what has been replaced meanwhile is read anew before it is changed.
func (d *Store) Each(ctx context.Context, wanted func(*stored.Variants) bool, f func(string, *stored.Variants, stored.Updater) bool) error {
	ranger, ok := store.As[store.Ranger](d.Backend)
	if !ok {
		return fmt.Errorf("the store cannot list what it holds: %w", errors.ErrUnsupported)
	}
	w := walk{store: d, began: d.L1.began(), wanted: wanted, visit: f}
	_, err := storeclient.Recovered(ctx, func(ctx context.Context) (struct{}, error) {
		err := ranger.Range(ctx, store.KindEntry, func(name string, r store.Record) bool { return w.add(ctx, name, r) })
		if err == nil {
			w.flush(ctx)
		}
		return struct{}{}, err
	})
	return errors.Join(err, w.failed)
}

// walk is a pass over all records. It collects some of them, to read their generations in one call.
type walk struct {
	store   *Store
	began   invalidation.Moment // in the history of L1, before anything was listed
	wanted  func(*stored.Variants) bool
	visit   func(string, *stored.Variants, stored.Updater) bool
	waiting []listed
	tags    invalidation.TagList // of those that wait
	bytes   int                  // of their records
	ended   bool
	failed  error
}

// listed is a record of the list, decoded.
type listed struct {
	at stored.RecordKey
	readResult
}

const (
	// maxListed, maxListedTags and maxListedBytes bound how many records wait, how many generations are read in one call, and what the records take.
	maxListed      = 64
	maxListedTags  = 256
	maxListedBytes = 1 << 20
)

// add takes a record in. It reports whether the walk goes on.
func (w *walk) add(ctx context.Context, name string, r store.Record) bool {
	at, ok := parseRecordKey(name)
	if !ok {
		return true
	}
	now := time.Now()
	l := listed{at, readResult{version: r.Version, began: w.began}}
	l.open(&wanted{at: at}, r.Data, now)
	if l.set == nil {
		return true
	}
	w.store.prepare(l.set, now)
	if w.wanted != nil && !w.wanted(l.set) {
		return true
	}
	w.waiting = append(w.waiting, l)
	w.bytes += len(r.Data)
	(&Snapshot{}).addMissing(&w.tags, l.set)
	if len(w.waiting) < maxListed && len(w.tags.Tags) < maxListedTags && w.bytes < maxListedBytes {
		return true
	}
	return w.flush(ctx)
}

// flush passes on what waits. What is pending is looked at before the generations are read; see pendingSnapshot.
func (w *walk) flush(ctx context.Context) bool {
	if w.ended || len(w.waiting) == 0 {
		return !w.ended
	}
	waiting, tags := w.waiting, w.tags.Tags
	w.waiting, w.tags, w.bytes = nil, invalidation.TagList{}, 0
	pending, seen := w.store.Pending.snapshot(), newSnapshot(len(tags))
	if w.failed = w.store.readGenerations(ctx, seen, tags); w.failed != nil {
		w.ended = true
		return false
	}
	for i := range waiting {
		l := &waiting[i]
		if l.seen = seen; seen.newer(nil, l.set) {
			continue
		}
		l.current = seen.currentOf(l.set, &pending)
		if l.current != nil && !w.visit("", l.current, l.update(ctx, w.store)) {
			w.ended = true
			return false
		}
	}
	return true
}

// update returns what changes the record that was listed.
func (l *listed) update(ctx context.Context, d *Store) stored.Updater {
	return func(change func(*stored.Variants) *stored.Variants) error {
		return d.updateFrom(ctx, l.at, &l.readResult, change)
	}
}
