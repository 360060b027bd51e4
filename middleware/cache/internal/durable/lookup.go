package durable

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Copied returns the copy in memory of the responses under key, if it may be used without asking the store, or nil.
func (d *Store) Copied(key []byte) *stored.Variants {
	if d.L1 == nil {
		return nil
	}
	hash := hashOf(d.keySpace(), key)
	var room [recordNameBytes]byte
	if copied, fresh := d.L1.get(appendRecordName(room[:0], &hash), time.Now()); fresh {
		return copied
	}
	return nil
}

// Get returns the responses under two keys of a request, of which the second may be nil, and the generations that their tags and the given ones have.
// It asks the store once, but for tags of the responses that are not among the given ones. The snapshot is nil if the store failed.
func (d *Store) Get(ctx context.Context, keys [2][]byte, tags []invalidation.Tag) (sets [2]*stored.Variants, seen *Snapshot, failed error) {
	failed = d.ensureHashKey(ctx) // without the key, only what varies on credentials is missing
	var room [2]wanted
	var results [2]readResult
	all, now := room[:0], time.Now()
	for _, key := range keys {
		if key == nil {
			break
		}
		at := newRecordKey(d.keySpace(), key)
		w := wanted{at: at}
		if d.L1 != nil {
			w.copied, _ = d.L1.get([]byte(at.Name), now)
		}
		all = append(all, w)
	}
	if err := d.readAll(ctx, all, tags, results[:]); err != nil {
		for i := range all {
			if sets[i] = all[i].copied; sets[i] != nil && seen == nil {
				seen = SnapshotOf(sets[i])
			}
		}
		return sets, seen, err
	}
	for i := range all {
		h := &results[i]
		if err := d.arrived(&all[i].at, h); err != nil {
			failed = err
			continue
		}
		sets[i] = h.current
	}
	return sets, results[0].seen, failed
}

// arrived keeps a copy of what was read, and has the store forget what is of no use any more. It returns an error for a damaged record.
//
// What has tags that were invalidated a moment ago stays: the next response probably has them too, and may be stored if they were looked for; see adoption.refuses.
func (d *Store) arrived(at *stored.RecordKey, h *readResult) error {
	d.L1.keep(*at, h.current, h.version, h.began, time.Now())
	switch {
	case h.damaged:
		name, version := at.Name, h.version
		d.Workers.GoOnce(name, func(ctx context.Context) { d.Client.DeleteVersion(ctx, name, version) })
		return ErrDamaged
	case h.set != nil && h.current == nil && !h.newer && !h.recent:
		d.forgetInvalidated(*at)
	}
	return nil
}

// forgetInvalidated removes, in the background, the responses under a key that are all invalidated.
func (d *Store) forgetInvalidated(at stored.RecordKey) {
	d.Workers.GoOnce(at.Name, func(ctx context.Context) {
		d.UpdateAt(ctx, at, func(set *stored.Variants) *stored.Variants { return set })
	})
}

// wanted is a record that is to be read, and the copy of it in memory, or nil.
type wanted struct {
	at     stored.RecordKey
	copied *stored.Variants
}

// readResult is what a store has under one key.
type readResult struct {
	set     *stored.Variants // everything
	current *stored.Variants // what has not been invalidated
	seen    *Snapshot
	version string              // of the record
	began   invalidation.Moment // in the history of L1, before it was read
	damaged bool
	newer   bool // a later version of this module has written the record, or a generation: it stays as it is
	recent  bool // tags that are not those of the request were invalidated a moment ago
}

// read reads what is under a key, together with the generations of some tags.
func (d *Store) read(ctx context.Context, at stored.RecordKey, tags []invalidation.Tag, copied *stored.Variants) (readResult, error) {
	var result [1]readResult
	err := d.readAll(ctx, []wanted{{at, copied}}, tags, result[:])
	return result[0], err
}

// readAll reads some records together with the generations of some tags, which saves a second call in most cases. The results, one for each record, share a snapshot.
// If a record is that of its copy, it is not decoded again. readAll takes its snapshot of pending invalidations, and the moment of L1's history, before it reads:
// what is invalidated meanwhile is seen in one of them, or in the generations.
func (d *Store) readAll(ctx context.Context, all []wanted, tags []invalidation.Tag, results []readResult) error {
	pending, began := d.Pending.snapshot(), d.L1.began()
	var room [6]string
	keys := room[:0]
	for i := range all {
		keys = append(keys, all[i].at.Name)
	}
	records, err := d.Client.Get(ctx, appendGenerationKeys(keys, tags)...)
	if err != nil {
		return err
	}
	now := time.Now()
	d.removeExpiredTombstones(now)
	seen := newSnapshot(len(tags))
	seen.read(tags, records[len(all):])
	var missing invalidation.TagList
	for i := range all {
		results[i] = readResult{version: records[i].Version, began: began, seen: seen}
		results[i].open(&all[i], records[i].Data, now)
		seen.addMissing(&missing, results[i].set)
	}
	if err := d.readGenerations(ctx, seen, missing.Tags); err != nil {
		return err
	}
	recent := seen.changedSince(missing.Tags, now.Add(-2*clockSkew))
	for i := range all {
		h := &results[i]
		if h.set == nil {
			continue
		}
		h.recent = recent
		if h.newer = seen.newer(tags, h.set); h.newer {
			continue // processes that can read the generations may know the response to be usable
		}
		h.current = seen.currentOf(h.set, &pending)
		if h.set != all[i].copied {
			d.prepare(h.set, now)
		}
	}
	return nil
}

// open decodes a record.
func (h *readResult) open(w *wanted, data []byte, now time.Time) {
	if h.version == "" {
		return
	}
	if c := w.copied; c != nil && c.Source.Version == h.version && !c.FromFuture(now) {
		h.set = c
		return
	}
	set, err := decodeLone(data, w.at.Hash)
	switch {
	case errors.Is(err, ErrNewer):
		h.newer = true
	case err != nil:
		h.damaged = true
	default:
		set.at = w.at
		for _, e := range set.Entries {
			e.Record.Key = &set.at
		}
		h.set = &set.Variants
	}
}

// currentOf returns what of a set has not been invalidated.
func (s *Snapshot) currentOf(set *stored.Variants, pending *pendingSnapshot) *stored.Variants {
	for _, e := range set.Entries {
		if !s.current(e) || pending.concerns(e) {
			return set.Without(func(e *stored.Entry) bool { return !s.current(e) || pending.concerns(e) })
		}
	}
	return set
}

// prepare completes responses that were read from the store.
func (d *Store) prepare(set *stored.Variants, now time.Time) {
	for _, e := range set.Entries {
		if h, had := e.Header.WithoutCookies(); had && !d.Cookies { // another process, or an older version, has stored them
			e.Header = h
			e.Derive()
		}
		if e.Body.Chunks != nil {
			e.Body.Chunks.Opener = d
		}
		if d.L1 != nil {
			e.Body.Bytes = bytes.Clone(e.Body.Bytes) // so that a copy in memory does not hold all of the record
		}
		if e.FromFuture(now) {
			e.InitialAge = stored.Longest // its age cannot be known
		}
	}
}
