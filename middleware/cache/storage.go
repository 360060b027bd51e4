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

// remove deletes a stored response, and with it those that it has hidden: one that the request selects as well would be found next time.
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
	told := func(err error) { c.fault(ctx, "update", err) }
	if c.durable == nil {
		told(remove(ctx))
		return
	}
	c.durable.Workers.Await(remove, told)
}

// removeIfTooLarge removes what was stored if the answer in its place turned out to be too large for the store as it came: it has been replaced all the same.
func (x *exchange) removeIfTooLarge(e *stored.Entry, reason string) {
	switch reason {
	case tooLarge, tooLargeToFilter, stream.OverBudget:
		if old := x.selected; old != nil && rfc9111.Ends(old, e.Status, e.Received) {
			x.remove(old)
		}
	}
}

// selects tells which stored responses can be the answer to the request.
func (x *exchange) selects() func(*stored.Entry) bool {
	key := x.cache.hashKey()
	query := "" // Blinded when the first entry needs it
	return func(e *stored.Entry) bool {
		if e.Search != nil && query == "" {
			query = stored.Blinded(stored.QueryOf(x.request))
		}
		return (e.Search == nil || e.Search.CoversBlinded(query)) && rfc9111.Selects(e, x.request, key)
	}
}

// supersedes tells which stored responses must go when next is stored as the answer to the request: those that could be the answer to it as well,
// and the one that the origin has confirmed if it varies on other fields since then. With which values of these it was made, nobody knows any more (RFC 9111 §4.3.4).
func (x *exchange) supersedes(next *stored.Entry) func(*stored.Entry) bool {
	selects := x.selects()
	return func(e *stored.Entry) bool {
		return selects(e) || x.confirmed != nil && e.SameAs(x.confirmed) && !e.SameFields(next)
	}
}

// errorWouldDisplace tells whether next is an error, and what has been stored while it was under way can still be served.
func (x *exchange) errorWouldDisplace(s *stored.Variants, next *stored.Entry, now time.Time) bool {
	if s == nil || next.Status < 400 {
		return false
	}
	selects := x.selects()
	return slices.ContainsFunc(s.Entries, func(e *stored.Entry) bool {
		return e.Part == nil && selects(e) && rfc9111.DisplacesServable(e, next, &x.cache.policy, now)
	})
}

var (
	errCredentialsBelow = errors.New(credentialsBelow)
)

// put stores an entry, unless its URI has been invalidated meanwhile. It tells whether it has, or still may.
func (c *Cache) put(x *exchange, e *stored.Entry, began invalidation.Moment) bool {
	ctx := x.request.Context()
	if c.durable != nil {
		ctx = context.WithoutCancel(ctx)
	}
	e.Used.Store(e.Received.UnixNano())
	switch {
	case x.misattributed(): // Known only now: a server may answer before it has got all of the request's header
		x.lease().End(lease.ReleaseAll)
		return c.settle(ctx, x, e, errCredentialsBelow)
	case c.closed.Load() || c.off.Load():
		x.lease().End(lease.ReleaseOnePerProcess)
		return c.settle(ctx, x, e, lease.ErrOff)
	case c.durable == nil:
		return c.settle(ctx, x, e, c.commit(ctx, x, e, began))
	}
	done := make(chan error, 1)
	x.putting = c.durable.Workers.Go(func(limited context.Context) {
		_, err := storeclient.Recovered(limited, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.commit(ctx, x, e, began) })
		if x.onStored != nil {
			x.onStored() // before the caller goes on: its next request is not to join this exchange
		}
		done <- err
		x.lease().EndIn(limited, lease.ReleaseAfter(err))
	})
	if !x.putting {
		x.lease().End(lease.ReleaseOnePerProcess)
		return c.settle(ctx, x, e, storeclient.ErrBusy)
	}
	timer := time.NewTimer(storeclient.MaxWait)
	defer timer.Stop()
	select {
	case err := <-done:
		return c.settle(ctx, x, e, err)
	case <-timer.C:
		c.durable.Workers.Then(func() { c.settle(ctx, x, e, <-done) })
		return true
	}
}

// commit does it.
func (c *Cache) commit(ctx context.Context, x *exchange, e *stored.Entry, began invalidation.Moment) (failed error) {
	if p := e.Body.Chunks; p != nil && p.Fresh {
		defer func() {
			if failed != nil {
				c.durable.Discard(p)
			}
		}()
	}
	if c.durable != nil {
		pledged, err := c.durable.WithGenerations(ctx, e, x.storeKey, x.seen)
		if err != nil {
			return err
		}
		e = pledged
	}
	now := time.Now()
	err := c.store.Update(ctx, x.storeKey, func(old *stored.Variants) *stored.Variants {
		next := old
		// Looked up inside the update: an invalidation is noted before it deletes, so one of the two sees the other.
		if !c.invalidatedSince(began, x, e) && !old.Overtook(e, now) && !x.errorWouldDisplace(old, e, now) {
			next = old.With(e, c.maxEntry)
			if next != old {
				next = next.WithoutBeforeLast(x.supersedes(e)) // With a Vary that has changed, an older one could still match
			}
		}
		x.stored = next != old
		return next
	})
	switch {
	case err != nil:
		return err
	case !x.stored:
		return lease.ErrOlder
	}
	if c.durable != nil && c.invalidatedSince(began, x, e) {
		// A Byte store has no lock: what listed it may have been there before the record was.
		c.fault(ctx, "update", c.store.Update(ctx, x.storeKey, func(set *stored.Variants) *stored.Variants { return set.Without(e.SameVariant) }))
		return lease.ErrOlder
	}
	c.fetches.noteStored(x.ownKey)
	c.clearOut(ctx, x)
	return nil
}

// invalidatedSince reports whether an answer to x has been invalidated since a moment.
func (c *Cache) invalidatedSince(m invalidation.Moment, x *exchange, e *stored.Entry) bool {
	return c.history.Since(m, e.Tags) || c.history.FilteredSince(m, func() string { return rfc9111.DisplayURL(x.request) }, e.Requested)
}

// clearOut removes what would be found, under the request's own key or where something was found, beside what has been stored under another one.
func (c *Cache) clearOut(ctx context.Context, x *exchange) {
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

// settle tells what became of a response that was to be stored, and whether it has been.
func (c *Cache) settle(ctx context.Context, x *exchange, e *stored.Entry, err error) bool {
	switch {
	case err == nil:
		c.traceStored(ctx, e)
		return true
	case errors.Is(err, store.ErrTooLarge):
		if x.confirmed == nil { // what the origin has confirmed is good for as long as it was
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

// entryStore is what a cache keeps its responses in: decoded, and all variants of a resource under one key.
// It is safe for concurrent use. An error is a miss to the cache, never to the caller of a request.
type entryStore interface {
	// Update replaces what is stored under key by what change makes of it. Both may be nil, for nothing.
	// It is atomic: of two concurrent updates one sees the other's result. change may be called several times and has no effects.
	Update(ctx context.Context, key string, change func(*stored.Variants) *stored.Variants) error

	// DeleteTagged removes everything that has one of the tags. What is put later is not affected.
	DeleteTagged(ctx context.Context, tags []invalidation.Tag) error

	// DeleteEntry removes an entry that each has shown, and what a validation has put in its place since.
	DeleteEntry(ctx context.Context, e *stored.Entry) error

	// Each calls f with what is stored under each key, and with a function that updates it, until f returns false. It holds no lock meanwhile.
	Each(ctx context.Context, f func(set *stored.Variants, update stored.Updater) bool) error

	// Clear removes everything.
	Clear(ctx context.Context) error
}
