package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
	"github.com/plyhttp/ply/store"
)

// entryStore is what a cache keeps its responses in: decoded, and all variants of a resource under one key.
// It is safe for concurrent use. To the cache an error is a miss; the caller of a request never sees it.
type entryStore interface {
	// Update replaces what is stored under key by what change makes of it. Both may be nil, for nothing.
	// It is atomic: of two concurrent updates one sees the other's result. change may be called several times and has no effects.
	Update(ctx context.Context, key string, change func(*stored.Variants) *stored.Variants) error

	// DeleteTagged removes everything that has one of the tags. What is put later is not affected.
	DeleteTagged(ctx context.Context, tags []invalidation.Tag) error

	// DeleteEntry removes an entry that Each has shown, and what a validation has put in its place since.
	DeleteEntry(ctx context.Context, e *stored.Entry) error

	// Each calls f with what is stored under each key, and with a function that updates it, until f returns false. It holds no lock meanwhile.
	// The key is empty where a hash of it is known only: the entries have that in their RecordKey.
	// Sets for which wanted is false are passed over, before it is known which of their entries have been invalidated; nil wants all.
	Each(ctx context.Context, wanted func(*stored.Variants) bool, f func(key string, set *stored.Variants, update stored.Updater) bool) error

	// Clear removes everything.
	Clear(ctx context.Context) error
}

var errCredentialsBelow = errors.New(credentialsBelow)

// put stores an entry, unless its URI has been invalidated since began, and gives the lease of the exchange back. It reports whether it has stored it,
// or still may: a byte store that is slow takes it in the background.
//
// b is the shared body that e has, or nil. It is settled exactly once on each path, panics of hooks included: when other requests find the entry, or never will.
func (c *Cache) put(x *exchange, e *stored.Entry, began invalidation.Moment, b *sharedBody) bool {
	ctx := x.request.Context()
	if c.durable != nil {
		ctx = context.WithoutCancel(ctx)
	}
	pending := false
	defer func() {
		if !pending {
			b.settled()
		}
	}()
	e.Used.Store(e.Received.UnixNano())
	var err error
	switch {
	case x.misattributed(): // known only now: a server may answer before it has the whole header of the request
		err = errCredentialsBelow
	case c.closed.Load() || c.off.Load() || !x.lease().Storing():
		err = lease.ErrOff
	case c.durable == nil:
		err = c.commit(ctx, x, e, began)
	default:
		done := make(chan error, 1)
		pending = c.durable.Workers.Go(func(limited context.Context) {
			_, err := storeclient.Recovered(limited, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.commit(ctx, x, e, began) })
			b.settled() // before the caller goes on: its next request must not join this fetch
			done <- err
			x.lease().EndIn(limited, releaseAfterPut(err))
		})
		if pending {
			return c.awaitPut(ctx, x, e, done)
		}
		err = storeclient.ErrBusy
	}
	x.lease().End(releaseAfterPut(err))
	return c.settle(ctx, x, e, err)
}

// awaitPut waits a moment for a worker that stores an entry, so that the next request of the caller finds it. If the store is slow, or the caller's context ends,
// another worker settles the result. Save waits for the end.
func (c *Cache) awaitPut(ctx context.Context, x *exchange, e *stored.Entry, done <-chan error) bool {
	if saving := choicesOf(x.request.Context()).saving; saving != nil {
		select {
		case err := <-done:
			return c.settle(ctx, x, e, err)
		case <-saving.Done():
		}
	}
	timer := time.NewTimer(storeclient.MaxWait)
	defer timer.Stop()
	select {
	case err := <-done:
		return c.settle(ctx, x, e, err)
	case <-x.request.Context().Done(): // not ctx, which never ends: a caller at its deadline waits for no store
	case <-timer.C:
	}
	c.durable.Workers.Then(func() { c.settle(ctx, x, e, <-done) })
	return true
}

// commit writes an entry to the store, unless it was invalidated or something later is stored. The chunks of a body that is not stored after all go.
func (c *Cache) commit(ctx context.Context, x *exchange, given *stored.Entry, began invalidation.Moment) (failed error) {
	if p := given.Body.Chunks; p != nil && p.Fresh {
		defer func() {
			if failed != nil {
				c.durable.Discard(p)
			}
		}()
	}
	e, now := given, time.Now()
	var err error
	if c.durable == nil {
		c.adoptFor(x.request, []byte(x.storeKey))
		err = c.memory.Update(ctx, x.storeKey, x.placing(e, began, now))
	} else {
		e, err = c.addDurable(ctx, x, given, func(e *stored.Entry) func(*stored.Variants) *stored.Variants { return x.placing(e, began, now) })
	}
	switch {
	case err != nil:
		return err
	case !x.written:
		return lease.ErrOlder
	}
	if c.durable != nil && c.invalidatedSince(began, x, e) {
		// A byte store has no lock: an invalidation may have listed what to delete before our record was there.
		c.fault(ctx, "update", c.store.Update(ctx, x.storeKey, func(set *stored.Variants) *stored.Variants { return set.Without(e.SameVariant) }))
		return lease.ErrOlder
	}
	c.fetches.noteStored(x.ownKey)
	c.clearOtherKeys(ctx, x)
	return nil
}

// addDurable adds an entry to a byte store. What varies on a part of the query has a tag that the lookup has not read if it went by the request's own key:
// if that tag was ever invalidated, the entry is not stored, and the next lookup reads the tag, too.
func (c *Cache) addDurable(ctx context.Context, x *exchange, given *stored.Entry, change func(*stored.Entry) func(*stored.Variants) *stored.Variants) (*stored.Entry, error) {
	seen := x.seen
	if given.Search != nil {
		seen = seen.WithAbsent(rfc9111.SearchTag(x.request))
	}
	e, err := c.durable.Add(ctx, x.storeKey, given, seen, change)
	if seen != x.seen && errors.Is(err, durable.ErrOvertaken) {
		c.foundKeys.note([]byte(x.ownKey), false)
	}
	return e, err
}

// placing returns what puts an entry among those that are stored, unless it was invalidated or something later is stored.
//
// It looks that up inside the update, for an invalidation is noted before it deletes. So one of the two sees the other:
//
//	they: note   they: delete   we: find the note
//	they: note   we: find the note   they: delete
//	we: find no note, store   they: note   they: delete what we have stored
func (x *exchange) placing(e *stored.Entry, began invalidation.Moment, now time.Time) func(*stored.Variants) *stored.Variants {
	c := x.cache
	return func(old *stored.Variants) *stored.Variants {
		next := old
		if !c.invalidatedSince(began, x, e) && !old.Overtook(e, now) && !x.errorWouldDisplace(old, e, now) {
			next = old.With(e, c.maxEntry)
			if next != old && len(next.Entries) > 1 {
				next = next.WithoutBeforeLast(x.supersedes(e)) // with a Vary that has changed, an older one could still match
			}
		}
		x.written = next != old
		return next
	}
}

// invalidatedSince reports whether an answer to x has been invalidated since a moment.
func (c *Cache) invalidatedSince(m invalidation.Moment, x *exchange, e *stored.Entry) bool {
	return c.history.Since(m, e.Tags) || c.history.FilteredSince(m, func() string { return rfc9111.DisplayURL(x.request) }, e.Requested)
}

// clearOtherKeys removes what a lookup would find beside an entry that has just been stored: under the request's own key, or under the key where
// something was found, if the entry has another one (No-Vary-Search).
func (c *Cache) clearOtherKeys(ctx context.Context, x *exchange) {
	if x.storeKey == x.ownKey && x.storeKey == x.foundKey {
		return
	}
	selects := x.selects()
	for i, key := range [...]string{x.ownKey, x.foundKey} {
		if key == "" || key == x.storeKey || i > 0 && key == x.ownKey {
			continue
		}
		c.fault(ctx, "update", c.store.Update(ctx, key, func(old *stored.Variants) *stored.Variants { return old.Without(selects) }))
	}
}

// settle traces what became of an entry that was to be stored, and reports whether it is.
func (c *Cache) settle(ctx context.Context, x *exchange, e *stored.Entry, err error) bool {
	switch {
	case err == nil:
		c.traceStored(ctx, x.storeKey, e)
		return true
	case errors.Is(err, store.ErrTooLarge):
		if x.confirmed == nil { // what the origin has confirmed may be used as long as before
			x.removeIfTooLarge(e, tooLarge)
		}
		c.traceNotStored(x.request, "response exceeds the store")
	case errors.Is(err, lease.ErrOlder), errors.Is(err, durable.ErrOvertaken):
		c.traceNotStored(x.request, lease.ErrOlder.Error())
	case errors.Is(err, lease.ErrOff), errors.Is(err, errCredentialsBelow), errors.Is(err, durable.ErrUnfit), errors.Is(err, durable.ErrNewer), errors.Is(err, storeclient.ErrBusy):
		c.traceNotStored(x.request, err.Error())
	default:
		c.fault(ctx, "update", err)
		c.traceNotStored(x.request, "the store failed")
	}
	return false
}

// remove deletes a stored response, and with it those that it has hidden: a lookup would find the next one that the request selects.
func (x *exchange) remove(old *stored.Entry) {
	c := x.cache
	if c.closed.Load() || c.off.Load() {
		return
	}
	ctx := context.WithoutCancel(x.request.Context())
	key, selects := x.foundKey, x.selects()
	remove := func(ctx context.Context) error {
		return c.store.Update(ctx, key, func(set *stored.Variants) *stored.Variants {
			return set.Without(func(e *stored.Entry) bool { return old.SameVariant(e) || selects(e) })
		})
	}
	ended := func(err error) { c.fault(ctx, "update", err) }
	if c.durable == nil {
		ended(remove(ctx))
		return
	}
	c.durable.Workers.Await(x.request.Context(), remove, ended)
}

// removeIfTooLarge removes what was stored if the answer in its place turned out to be too large for the store: it has been replaced all the same.
func (x *exchange) removeIfTooLarge(e *stored.Entry, reason string) {
	switch reason {
	case tooLarge, tooLargeToFilter, stream.OverBudget:
		if old := x.selected; old != nil && rfc9111.Ends(old, e.Status, e.Received) {
			x.remove(old)
		}
	}
}

// selects returns the condition under which a stored response can be the answer to the request.
func (x *exchange) selects() func(*stored.Entry) bool {
	key := x.cache.hashKey()
	query := "" // blinded when the first entry needs it
	return func(e *stored.Entry) bool {
		if e.Search != nil && query == "" {
			query = stored.Blinded(stored.QueryOf(x.request))
		}
		return (e.Search == nil || e.Search.CoversBlinded(query)) && rfc9111.Selects(e, x.request, key)
	}
}

// supersedes returns the condition under which a stored response must go when next is stored as the answer to the request: if it could be the answer as well,
// or if it is the one that the origin has confirmed, and varies on other fields since then. With which values of those it was made is unknown (RFC 9111 §4.3.4).
func (x *exchange) supersedes(next *stored.Entry) func(*stored.Entry) bool {
	selects := x.selects()
	return func(e *stored.Entry) bool {
		return selects(e) || x.confirmed != nil && e.SameAs(x.confirmed) && !e.SameFields(next)
	}
}

// errorWouldDisplace reports whether next is an error, and what has been stored while it was under way can still be served.
func (x *exchange) errorWouldDisplace(s *stored.Variants, next *stored.Entry, now time.Time) bool {
	if s == nil || next.Status < 400 {
		return false
	}
	selects := x.selects()
	return slices.ContainsFunc(s.Entries, func(e *stored.Entry) bool {
		return e.Part == nil && selects(e) && rfc9111.DisplacesServable(e, next, &x.cache.policy, now)
	})
}
