package cache

import (
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// maxHold is how long the end of a body, or a validation, waits for a byte store. What takes longer goes on behind the caller's back.
const maxHold = 10 * time.Millisecond

var (
	errUnfit = errors.New("a field of the response is one that no store takes")
	errOff   = errors.New("switched off")
	errBusy  = errors.New("the store has too much to do")
	errBelow = errors.New(credentialsBelow)
	errOlder = errors.New("invalidated meanwhile, or something later is stored")
)

// put stores an entry, unless its URI has been invalidated meanwhile. It tells whether it has, or still may.
func (c *Cache) put(x *exchange, e *Entry, began moment) bool {
	ctx := x.request.Context()
	if c.durable != nil {
		ctx = context.WithoutCancel(ctx)
	}
	e.used.Store(e.received.UnixNano())
	switch {
	case x.misattributed(): // known only now: a server may answer before it has got all of the request's header
		x.lease().end(each)
		return c.settle(ctx, x, e, errBelow)
	case c.closed.Load() || c.off.Load():
		x.lease().end(allOver)
		return c.settle(ctx, x, e, errOff)
	case c.durable == nil:
		return c.settle(ctx, x, e, c.commit(ctx, x, e, began))
	}
	done := make(chan error, 1)
	x.putting = c.durable.behind.start(func(limited context.Context) {
		_, err := recovered(limited, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.commit(ctx, x, e, began) })
		if x.landed != nil {
			x.landed() // before the caller goes on: its next request is not to join this exchange
		}
		done <- err
		x.lease().endIn(limited, partingAfter(err))
	})
	if !x.putting {
		x.lease().end(allOver)
		return c.settle(ctx, x, e, errBusy)
	}
	timer := time.NewTimer(maxHold)
	defer timer.Stop()
	select {
	case err := <-done:
		return c.settle(ctx, x, e, err)
	case <-timer.C:
		c.durable.behind.follow(func() { c.settle(ctx, x, e, <-done) })
		return true
	}
}

// commit does it.
func (c *Cache) commit(ctx context.Context, x *exchange, e *Entry, began moment) (failed error) {
	if p := e.body.stored; p != nil && p.fresh {
		defer func() {
			if failed != nil {
				c.durable.discard(p)
			}
		}()
	}
	if c.durable != nil {
		pledged, err := c.durable.pledged(ctx, e, x.key, x.seen)
		if err != nil {
			return err
		}
		e = pledged
	}
	now := time.Now()
	err := c.store.update(ctx, x.key, func(old *variants) *variants {
		next := old
		// Looked up inside the update: an invalidation is noted before it deletes, so one of the two sees the other.
		if !c.invalidatedSince(began, x, e) && !old.overtook(e, now) && !x.outweighed(old, e, now) {
			next = old.with(e, c.maxEntry)
			if next != old {
				next = next.ofLast(x.supersedes(e)) // with a Vary that has changed, an older one could still match
			}
		}
		x.stored = next != old
		return next
	})
	switch {
	case err != nil:
		return err
	case !x.stored:
		return errOlder
	}
	if c.durable != nil && c.invalidatedSince(began, x, e) {
		// A byte store has no lock: what listed it may have been there before the record was.
		c.fault(ctx, "update", c.store.update(ctx, x.key, func(set *variants) *variants { return set.without(e.sameSlot) }))
		return errOlder
	}
	c.flights.land(x.own)
	c.clearOut(ctx, x)
	return nil
}

// invalidatedSince reports whether an answer to x has been invalidated since a moment.
func (c *Cache) invalidatedSince(m moment, x *exchange, e *Entry) bool {
	return c.events.since(m, e.tags) || c.events.sifted(m, x.request, e.requested)
}

// clearOut removes what would be found, under the request's own key or where something was found, beside what has been stored under another one.
func (c *Cache) clearOut(ctx context.Context, x *exchange) {
	if x.key == x.own && x.key == x.foundIn {
		return
	}
	selects := x.selects()
	for i, key := range [...]string{x.own, x.foundIn} {
		if key == "" || key == x.key || i > 0 && key == x.own {
			continue
		}
		c.fault(ctx, "update", c.store.update(ctx, key, func(old *variants) *variants { return old.without(selects) }))
	}
}

// settle tells what became of a response that was to be stored, and whether it has been.
func (c *Cache) settle(ctx context.Context, x *exchange, e *Entry, err error) bool {
	switch {
	case err == nil:
		c.tookIn(ctx, e)
		return true
	case errors.Is(err, store.ErrTooLarge):
		if x.updated == nil { // what the origin has confirmed is good for as long as it was
			x.outgrown(e, tooLarge)
		}
		c.leftOut(x.request, "response exceeds the store")
	case errors.Is(err, errOlder), errors.Is(err, errOvertaken):
		c.leftOut(x.request, errOlder.Error())
	case errors.Is(err, errOff), errors.Is(err, errBelow), errors.Is(err, errUnfit), errors.Is(err, errNewer), errors.Is(err, errBusy):
		c.leftOut(x.request, err.Error())
	default:
		c.fault(ctx, "update", err)
		c.leftOut(x.request, "the store failed")
	}
	return false
}

// pledged is e as it is stored: with the generations that its tags had when it was asked for.
func (d *durable) pledged(ctx context.Context, e *Entry, key string, seen *sight) (*Entry, error) {
	if !e.fits() {
		return nil, errUnfit
	}
	marks, err := d.pledge(ctx, e, seen, d.until(e, time.Now()))
	if err != nil {
		return nil, err
	}
	p, at := e.copy(), d.place(key)
	p.at = &at
	p.url, p.marks = redact.URLText(e.url), marks
	if stored := e.body.stored; stored != nil && stored.fresh {
		owned := *stored
		owned.fresh = false
		p.body.stored = &owned
	}
	p.index()
	p.used.Store(e.used.Load())
	return p, nil
}
