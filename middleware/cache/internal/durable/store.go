package durable

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// Store keeps responses in a byte store. All variants of a resource, their index and what invalidates them are in one record, the entry's,
// so they change together or not at all, by compare-and-swap. Beside it there are the generations of its tags (generations.go)
// and the chunks of its large bodies (chunks.go).
//
// It has no lock: the record's version decides between writers, in this process as between processes. What no request waits for runs on Workers,
// which Close ends.
type Store struct {
	Client      *storeclient.Client
	retryClient *storeclient.Client // for pending invalidations
	Backend     store.Store
	L1          *L1           // copies in memory, or nil
	keep        time.Duration // beyond the last moment that a response can be used without asking
	shared      bool
	self        [8]byte // names this process in the generations that it makes
	HashKeys    HashKeys
	Pending     PendingInvalidations
	tombstones  tombstones
	Workers     storeclient.Workers
	TagsOf      func(*http.Request) []invalidation.Tag // the tags that the answer to a request has for certain
	Cookies     bool                                   // of responses are stored, and set again
}

const (
	// MaxAttempts bounds how often a change is tried again because another process was faster.
	MaxAttempts = 16

	// maxLife bounds how long anything is kept in a store.
	maxLife = 400 * 24 * time.Hour
)

// ErrContended is the error of a change that other processes were faster at each time.
var ErrContended = errors.New("others change the record again and again")

// New returns responses in s, each call of which may take as long as timeout. keep is for how long a response is kept beyond the last moment
// that it can be used without asking the origin.
func New(s store.Store, timeout, keep time.Duration, shared bool) *Store {
	d := &Store{Client: storeclient.New(s, timeout, setupKey, newerRecord), Backend: s, keep: keep, shared: shared}
	rand.Read(d.self[:])
	d.Workers.Init(10 * timeout)
	d.Pending.retry = d.retryPending
	d.Client.OnAnswer = d.Pending.storeAnswered
	d.retryClient = d.Client.Patient(retryPatience * timeout)
	return d
}

// Get returns the responses under a request's key, and the generations that their tags and those of the request have. The snapshot is nil if the store failed.
func (d *Store) Get(ctx context.Context, key string, r *http.Request) (*stored.Variants, *Snapshot, error) {
	at := d.RecordKey(key)
	copied, fresh := d.L1.get(at, time.Now())
	if fresh {
		return copied, snapshotOf(copied), nil
	}
	failed := d.ensureHashKey(ctx) // without the key, only what varies on credentials is missing
	h, err := d.read(ctx, at, d.TagsOf(r), copied)
	if err != nil && copied != nil {
		return copied, snapshotOf(copied), err
	}
	if err != nil {
		return nil, nil, err
	}
	d.L1.keep(at, h.current, h.version, h.began, time.Now())
	switch {
	case h.damaged:
		d.Workers.GoOnce(at.Name, func(ctx context.Context) { d.Client.DeleteVersion(ctx, at.Name, h.version) })
		return nil, h.seen, ErrDamaged
	case h.set != nil && h.current == nil && !h.newer:
		d.Workers.GoOnce(at.Name, func(ctx context.Context) {
			d.updateAt(ctx, at, func(set *stored.Variants) *stored.Variants { return set })
		})
	}
	return h.current, h.seen, failed
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
}

// read reads what is under a key, together with the generations of some tags, which saves a second call in most cases.
// If the record is that of a copy, it is not decoded again. It takes its snapshot of pending invalidations, and the moment of L1's history, before it reads:
// what is invalidated meanwhile is seen in one of them, or in the generations.
func (d *Store) read(ctx context.Context, at stored.RecordKey, tags []invalidation.Tag, copied *stored.Variants) (readResult, error) {
	pending, began := d.Pending.snapshot(), d.L1.began()
	records, err := d.Client.Get(ctx, append([]string{at.Name}, generationKeys(tags)...)...)
	if err != nil {
		return readResult{}, err
	}
	d.removeExpiredTombstones(time.Now())
	h := readResult{version: records[0].Version, began: began, seen: &Snapshot{}}
	h.seen.read(tags, records[1:])
	if h.version == "" {
		return h, nil
	}
	if copied != nil && copied.Source.Version == h.version && !copied.FromFuture(time.Now()) {
		h.set = copied
	} else {
		h.set, err = decode(records[0].Data, at.Hash)
	}
	switch {
	case errors.Is(err, ErrNewer):
		h.newer = true
		return h, nil
	case err != nil:
		h.damaged = true
		return h, nil
	}
	if err := d.readGenerations(ctx, h.seen, h.seen.missing(h.set)); err != nil {
		return readResult{}, err
	}
	if h.newer = h.seen.newer(); h.newer {
		return h, nil // processes that can read the generations may know the response to be usable
	}
	now := time.Now()
	h.current = h.set.Without(func(e *stored.Entry) bool { return !h.seen.current(e) || pending.concerns(e) })
	if h.set != copied {
		for _, e := range h.set.Entries {
			e.RecordKey = &at
			d.prepare(e, now)
		}
	}
	return h, nil
}

// prepare completes a response that was read from the store.
func (d *Store) prepare(e *stored.Entry, now time.Time) {
	if !d.Cookies && stored.RemoveCookies(e.Header) { // another process, or an older version, has stored them
		e.Derive()
	}
	if e.Body.Chunks != nil {
		e.Body.Chunks.Opener = d
	}
	if e.FromFuture(now) {
		e.InitialAge = stored.Longest // its age cannot be known
	}
}

// touchStoreEvery is how often a store records that one of several variants is in use.
const touchStoreEvery = time.Hour

// Touch has the store record, in the background, that a response is in use, where that makes a difference: because it extends the lifetime,
// or because the least recently used variant is dropped first.
func (d *Store) Touch(e *stored.Entry, before, now time.Time) {
	every := touchStoreEvery
	if e.Rules.Sliding {
		every = min(every, e.Rules.Lifetime/16)
	} else if e.Selectors == nil {
		return
	}
	if e.RecordKey == nil || now.Sub(before) < every {
		return
	}
	d.Workers.GoOnce(e.RecordKey.Name, func(ctx context.Context) {
		d.updateAt(ctx, *e.RecordKey, func(set *stored.Variants) *stored.Variants {
			for i, old := range set.All() {
				if old.SameAs(e) {
					used := old.Clone()
					used.Derive()
					used.Used.Store(now.UnixNano())
					return set.Replaced(i, used)
				}
			}
			return set
		})
	})
}

// Update replaces what is stored under key.
func (d *Store) Update(ctx context.Context, key string, change func(*stored.Variants) *stored.Variants) error {
	return d.updateAt(ctx, d.RecordKey(key), change)
}

// updateAt replaces what is under a key. If another process is faster, its result is changed in turn.
func (d *Store) updateAt(ctx context.Context, at stored.RecordKey, change func(*stored.Variants) *stored.Variants) error {
	for attempt := range MaxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		h, err := d.read(ctx, at, nil, nil)
		if err != nil {
			return err
		}
		if h.newer {
			return ErrNewer
		}
		next := change(h.current)
		if next == h.set && !h.damaged {
			return nil
		}
		if err = d.replace(ctx, at, &h, next); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return ErrContended
}

// pause waits a moment before another attempt, the longer the more there have been.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(mathrand.Int64N(int64(attempt) * int64(time.Millisecond))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return storeclient.ContextError(ctx)
	}
}

// replace puts next in the place of what was read. Bodies are written before the record that names them, and removed after it is gone:
// a crash in between leaves chunks that expire, never a record without a body.
func (d *Store) replace(ctx context.Context, at stored.RecordKey, h *readResult, next *stored.Variants) error {
	if next == nil {
		if h.version == "" {
			return nil
		}
		if err := d.erase(ctx, at, h.version); err != nil {
			return err
		}
		d.L1.wrote(at, nil, h.began, time.Now())
		d.drop(h.set, nil)
		return nil
	}
	now := time.Now()
	chunked, err := d.writeChunks(ctx, at, next, now)
	if err != nil {
		d.drop(chunked, next)
		return err
	}
	stored, record, err := d.record(at, chunked, h.version, now)
	if err == nil {
		err = d.write(ctx, at, record)
	}
	if err != nil {
		d.drop(chunked, next)
		return err
	}
	d.L1.wrote(at, stored, h.began, now)
	d.extendGenerations(ctx, stored, h.seen, now)
	d.drop(chunked, stored)
	d.drop(h.set, chunked)
	return nil
}

// write puts a record in the place of the one whose version it has. A store that reports a failure may have lost only its reply:
// then the record is there, and what it names must stay, while what it replaced must go.
func (d *Store) write(ctx context.Context, at stored.RecordKey, r store.Record) error {
	err := d.Client.Put(ctx, at.Name, r)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, storeclient.ErrStoreDown) || ctx.Err() != nil {
		return err
	}
	if there, failed := d.Client.Get(ctx, at.Name); failed == nil && there[0].Version != "" && bytes.Equal(there[0].Data, r.Data) {
		return nil
	}
	return err
}

// erase removes a record. As in write, only the reply may have been lost: if the record is gone, what it named must go.
func (d *Store) erase(ctx context.Context, at stored.RecordKey, version string) error {
	err := d.Client.DeleteVersion(ctx, at.Name, version)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, storeclient.ErrStoreDown) || ctx.Err() != nil {
		return err
	}
	if there, failed := d.Client.Get(ctx, at.Name); failed == nil && there[0].Version == "" {
		return nil
	}
	return err
}

// record encodes a set. Variants for which there is no room are dropped, least recently used first.
func (d *Store) record(at stored.RecordKey, set *stored.Variants, version string, now time.Time) (*stored.Variants, store.Record, error) {
	for {
		data, err := encode(at.Hash, set)
		if err == nil {
			return set, store.Record{Data: data, Version: version, Expires: d.expires(set, now), Kind: store.KindEntry, Label: redact.URLText(set.Entries[0].URL)}, nil
		}
		if len(set.Entries) == 1 {
			return nil, store.Record{}, err
		}
		first := stored.LeastUsed(set.Entries)
		set = set.Without(func(e *stored.Entry) bool { return e == first })
	}
}

// expires is until when a record with these responses is kept.
func (d *Store) expires(set *stored.Variants, now time.Time) time.Time {
	until := now
	for _, e := range set.Entries {
		if t := d.until(e, now); t.After(until) {
			until = t
		}
	}
	return until
}

// until is until when a response is kept: as long as it can be used without asking the origin, and keep longer, in case the origin can confirm it.
func (d *Store) until(e *stored.Entry, now time.Time) time.Time {
	life := max(e.FreshFor(now), 0) + max(e.Rules.StaleWhileRevalidate, e.Rules.StaleIfError, 0) + d.keep
	until := now.Add(min(max(life, time.Second), maxLife)).Truncate(time.Millisecond)
	if p := e.Body.Chunks; p != nil && p.Until.Before(until) {
		return p.Until
	}
	return until
}

// DeleteEntry removes an entry, and what is in its place by now.
func (d *Store) DeleteEntry(ctx context.Context, e *stored.Entry) error {
	if e.RecordKey == nil {
		return stored.ErrForeignEntry
	}
	return d.updateAt(ctx, *e.RecordKey, func(set *stored.Variants) *stored.Variants { return set.Without(e.SameVariant) })
}

// Each calls f with the responses under each key.
func (d *Store) Each(ctx context.Context, f func(*stored.Variants, stored.Updater) bool) error {
	ranger, ok := store.As[store.Ranger](d.Backend)
	if !ok {
		return fmt.Errorf("the store cannot list what it holds: %w", errors.ErrUnsupported)
	}
	var failed error
	visit := func(name string, _ store.Record) bool {
		at, ok := parseRecordKey(name)
		if !ok {
			return true
		}
		h, err := d.read(ctx, at, nil, nil)
		if err != nil {
			failed = err
			return false
		}
		return h.current == nil || f(h.current, func(change func(*stored.Variants) *stored.Variants) error { return d.updateAt(ctx, at, change) })
	}
	_, err := storeclient.Recovered(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, ranger.Range(ctx, store.KindEntry, visit)
	})
	return errors.Join(err, failed)
}

// DeleteExpired has the store free the room of its expired records.
func (d *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	expirer, ok := store.As[store.Expirer](d.Backend)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return storeclient.Recovered(ctx, func(ctx context.Context) (int, error) { return expirer.DeleteExpired(ctx, now) })
}

// Clear removes everything.
func (d *Store) Clear(ctx context.Context) error {
	if d.L1 != nil {
		defer d.L1.changed("") // so that what was read meanwhile is not kept
	}
	clearer, ok := store.As[store.Clearer](d.Backend)
	if !ok {
		return d.Each(ctx, func(_ *stored.Variants, update stored.Updater) bool {
			return update(func(*stored.Variants) *stored.Variants { return nil }) == nil
		})
	}
	_, err := storeclient.Recovered(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, clearer.Clear(ctx) })
	return err
}

// Close waits for what is under way, no longer than a call of the store may take, and retries pending invalidations once.
// The error says that some remain. The order matters: no notification and no timer starts work any more when the workers shut down, and they need the client.
func (d *Store) Close(patience time.Duration) error {
	d.L1.close()
	d.Pending.close()
	d.Workers.Go(d.retryPending)
	d.removeExpiredTombstones(time.Now().Add(tombstoneTTL))
	d.Workers.Shutdown(patience)
	d.Client.Close()
	return d.pendingAtClose()
}
