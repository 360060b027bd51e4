package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"
)

// Contains reports whether a stored response would be selected for r, fresh or not, by any connection of the chains that the cache stands in.
// Like [Cache.Delete] it wants r as the cache sees it, with everything that a client adds; see ply.Client.Prepare.
func (c *Cache) Contains(r *http.Request) bool {
	if r == nil || !located(r) {
		return false
	}
	now := time.Now()
	a := newAsk(modeOf(r.Context()), r, &c.posture)
	if a.bypass != "" {
		return false
	}
	for _, a.path = range c.paths(r) {
		key, err := c.appendKey(nil, r, a.path)
		if err != nil {
			return false
		}
		var f found
		if c.find(&f, &a, key, r, now); f.entry != nil {
			return true
		}
	}
	return false
}

// DeleteExpired removes the stored responses that are stale and past the windows in which a stale response may still be used,
// and returns how many there were. They could have been validated: a cache that is not short of room need not call it.
// A [store.Expirer] is asked to give back the room of its expired records as well; one that cannot list does only that, and their number is returned.
func (c *Cache) DeleteExpired(ctx context.Context) (int, error) {
	now := time.Now()
	n, err := c.deleteWhere(ctx, func(e *Entry) bool {
		return -e.left(now) >= max(e.rules.staleWhileRevalidate, e.rules.staleIfError, c.posture.disconnected)
	})
	if c.durable == nil {
		return n, err
	}
	more, failed := c.durable.deleteExpired(ctx, now)
	if errors.Is(err, errors.ErrUnsupported) && failed == nil { // the store cannot list, but expire
		return more, nil
	}
	return n, err
}

// DeleteStale removes the stored responses that are stale at this moment, and returns how many there were.
func (c *Cache) DeleteStale(ctx context.Context) (int, error) {
	now := time.Now()
	return c.deleteWhere(ctx, func(e *Entry) bool { return !e.Fresh(now) })
}

// RecomputeExpiry asks the expiry strategy anew about all stored responses, as if they had just been received when they were.
// The strategy sees a request that has the URL and nothing else, over a byte store without the values of its query. What it refuses is removed, and so is an error
// that it would keep though neither the strategy names its status nor the server gave it a lifetime.
func (c *Cache) RecomputeExpiry(ctx context.Context) error {
	_, err := c.updateAll(ctx, func(e *Entry) *Entry { return c.judgeAgain(ctx, e) })
	return c.reported(ctx, "recompute expiry", err)
}

// judgeAgain returns e under new rules, or nil if it is not to be kept.
func (c *Cache) judgeAgain(ctx context.Context, e *Entry) *Entry {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return nil
	}
	resp := &http.Response{StatusCode: e.status, Header: e.header.Clone(), ContentLength: e.body.size()}
	judged := c.judge(r, resp, e.age0, e.received)
	if judged.verdict.Refused() || judged.unwanted {
		return nil
	}
	again := e.copy()
	again.rules = newRules(&judged, &c.posture)
	again.index()
	again.used.Store(e.used.Load())
	return again
}

// Clear removes everything.
func (c *Cache) Clear(ctx context.Context) error {
	c.events.addAll()
	return c.reported(ctx, "clear", c.store.clear(ctx))
}

// updateAll puts what judge makes of each stored response in its place, and returns how many are other ones now. Nil stands for none.
// Judge is the user's code, so it runs while the store holds no lock; what is replaced meanwhile is left alone.
func (c *Cache) updateAll(ctx context.Context, judge func(*Entry) *Entry) (n int, err error) {
	var failed error
	err = c.store.each(ctx, func(set *variants, update updater) bool {
		var changes []change
		for _, e := range set.entries {
			if next := judge(e); next != e {
				changes = append(changes, change{e, next})
			}
		}
		if len(changes) == 0 {
			return true
		}
		changed := 0
		failed = update(func(old *variants) (next *variants) {
			next, changed = old.changed(changes)
			return next
		})
		if failed == nil {
			n += changed
		}
		return failed == nil
	})
	return n, errors.Join(err, failed)
}

// change puts one entry, or nil for none, in another's place.
type change struct{ old, next *Entry }

// changed returns s with changes made, as far as they concern what s holds, and how many did. Without any entries it is nil.
func (s *variants) changed(changes []change) (*variants, int) {
	if s == nil {
		return nil, 0
	}
	n := 0
	next := &variants{}
	for _, e := range s.entries {
		i := slices.IndexFunc(changes, func(c change) bool { return e.sameAs(c.old) })
		if i >= 0 {
			n++
			e = changes[i].next
		}
		if e != nil {
			next.entries = append(next.entries, e)
		}
	}
	switch {
	case n == 0:
		return s, 0
	case len(next.entries) == 0:
		return nil, n
	}
	return next, n
}

// sameAs tells whether two entries are one, though a store may have read it twice.
func (e *Entry) sameAs(other *Entry) bool {
	return e == other || e.sameSlot(other) && e.received.Round(0).Equal(other.received.Round(0)) && e.body.size() == other.body.size()
}

// Entries iterates over what is stored. The order says nothing. A store that cannot list what it holds yields nothing.
//
// What a [Memory] holds has its URL as it was requested, queries and whatever secrets they have included. A byte store holds no values of a query:
// the URLs of its entries have [redact.Placeholder] in their place. See [Cache.DeleteEntry] to remove one.
func (c *Cache) Entries(ctx context.Context) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		err := c.store.each(ctx, func(set *variants, _ updater) bool {
			for _, e := range set.entries {
				if !yield(e) {
					return false
				}
			}
			return true
		})
		c.fault(ctx, "range", err)
	}
}

// URLs iterates over the URLs for which something is stored, each once. Over a byte store they have [redact.Placeholder] in place of the values of a query:
// such a URL stands for all that differ in those values, and [Cache.DeleteURL] refuses it. Go through [Cache.Entries] and [Cache.DeleteEntry] there.
func (c *Cache) URLs(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool)
		for e := range c.Entries(ctx) {
			if seen[e.url] {
				continue
			}
			seen[e.url] = true
			if !yield(e.url) {
				return
			}
		}
	}
}

// SetEnabled switches the cache on or off for all requests, for operators. While it is off, requests pass it by and what is stored stays as it is.
func (c *Cache) SetEnabled(on bool) { c.off.Store(!on) }

// Enabled tells whether the cache is switched on.
func (c *Cache) Enabled() bool { return !c.off.Load() }

// reported is wrapped for an operation that the store alone can have failed at: that is counted and told, as for a request.
func (c *Cache) reported(ctx context.Context, operation string, err error) error {
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, errForeignEntry) {
		c.fault(ctx, operation, err)
	}
	return wrapped(operation, err)
}

// wrapped names the operation that failed.
func wrapped(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cache: %s: %w", operation, err)
}
