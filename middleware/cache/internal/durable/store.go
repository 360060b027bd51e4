package durable

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
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
	d := &Store{Client: storeclient.New(s, timeout, setupKey, newerRecord), Backend: s, keep: min(keep, maxLife), shared: shared}
	rand.Read(d.self[:])
	d.Workers.Init(10 * timeout)
	d.Pending.retry = d.retryPending
	d.Client.OnAnswer = d.Pending.storeAnswered
	d.retryClient = d.Client.Patient(retryPatience * timeout)
	return d
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
	at := e.RecordKey()
	if at == nil || now.Sub(before) < every {
		return
	}
	d.Workers.GoOnce(at.Name, func(ctx context.Context) {
		d.UpdateAt(ctx, *at, func(set *stored.Variants) *stored.Variants {
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
	return d.UpdateAt(ctx, d.RecordKey(key), change)
}

// UpdateAt replaces what is under a key.
func (d *Store) UpdateAt(ctx context.Context, at stored.RecordKey, change func(*stored.Variants) *stored.Variants) error {
	return d.updateFrom(ctx, at, nil, change)
}

// updateFrom replaces what is under a key, where h has been read already, if it is not nil. If another process is faster, its result is read and changed in turn.
func (d *Store) updateFrom(ctx context.Context, at stored.RecordKey, h *readResult, change func(*stored.Variants) *stored.Variants) error {
	for attempt := range MaxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		if h == nil {
			again, err := d.read(ctx, at, nil, nil)
			if err != nil {
				return err
			}
			h = &again
		}
		if h.newer {
			return ErrNewer
		}
		next := change(h.current)
		if next == h.set && !h.damaged {
			return nil
		}
		if err := d.replace(ctx, at, h, next); !errors.Is(err, store.ErrConflict) {
			return err
		}
		h = nil
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
	at := e.RecordKey()
	if at == nil {
		return stored.ErrForeignEntry
	}
	return d.UpdateAt(ctx, *at, func(set *stored.Variants) *stored.Variants { return set.Without(e.SameVariant) })
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
		return d.Each(ctx, nil, func(_ string, _ *stored.Variants, update stored.Updater) bool {
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
