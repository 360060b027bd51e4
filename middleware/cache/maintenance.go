package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// Contains reports whether a stored response would be selected for r, fresh or not, by any connection of the chains that the cache stands in.
// Like [Cache.Delete] it wants r as the cache sees it, with everything that a client adds; see ply.Client.Prepare.
func (c *Cache) Contains(r *http.Request) bool {
	if r == nil || !located(r) {
		return false
	}
	now := time.Now()
	a := rfc9111.ReadRequest(c.modeFor(choicesOf(r.Context())), r, &c.policy)
	if a.Bypass != "" {
		return false
	}
	for _, a.Path = range c.paths(r) {
		key, err := c.appendKey(nil, r, a.Path)
		if err != nil {
			return false
		}
		var f lookup
		if c.find(&f, &a, key, r, now); f.Entry != nil {
			return true
		}
	}
	return false
}

// DeleteExpired removes the stored responses that are stale and past the windows in which a stale response may still be used,
// and returns how many there were. The origin could still have confirmed them: a cache that is not short of room need not call it.
// A [store.Expirer] frees the room of its expired records as well. One that cannot list its records does only that, and DeleteExpired returns their number;
// a store that can do neither is an error.
func (c *Cache) DeleteExpired(ctx context.Context) (int, error) {
	now := time.Now()
	n, err := c.deleteWhere(ctx, func(e *stored.Entry) bool {
		return -e.FreshFor(now) >= max(e.Rules.StaleWhileRevalidate, e.Rules.StaleIfError, c.policy.Disconnected)
	})
	if c.durable == nil {
		return n, err
	}
	more, failed := c.durable.DeleteExpired(ctx, now)
	if errors.Is(err, errors.ErrUnsupported) && failed == nil { // the store cannot list, but expire
		return more, nil
	}
	return n, err
}

// DeleteStale removes the stored responses that are stale at this moment, and returns how many there were. A store that cannot list what it holds is an error.
func (c *Cache) DeleteStale(ctx context.Context) (int, error) {
	now := time.Now()
	return c.deleteWhere(ctx, func(e *stored.Entry) bool { return e.FreshFor(now) <= 0 })
}

// RecomputeExpiry asks the expiry strategy anew about all stored responses: the one of ctx, if it has one ([WithExpiry]), and [Options.Expiry].
//
//	err := c.RecomputeExpiry(cache.WithExpiry(ctx, expiry.After(time.Hour)))
//
// What it says counts from the moment that a response was received or last validated ([Entry.Received]), with the age that it had then, not from now.
// What is recomputed is all that the strategy says: the lifetime, whether each use restarts it, the windows for stale responses, and how far ahead it is refreshed.
// It holds until the response is fetched or validated again: then Options.Expiry decides, and the context of that request.
//
// The strategy sees the stored response, and a request that has the method and the URL and nothing else, over a byte store without the values of its query.
// Responses that it refuses are removed, and so are errors for which neither the strategy nor the server gives a lifetime.
func (c *Cache) RecomputeExpiry(ctx context.Context) error {
	_, err := c.updateAll(ctx, nil, func(_ string, e *stored.Entry) *stored.Entry { return c.judgeAgain(ctx, e) })
	return c.reported(ctx, "recompute expiry", err)
}

// RecomputeEntryExpiry does for one entry of this cache what [Cache.RecomputeExpiry] does for all, or for what has been stored in its place since it was listed.
// It is no error if that is gone.
func (c *Cache) RecomputeEntryExpiry(ctx context.Context, e *Entry) error {
	if e == nil || e.stored == nil || e.cache != c {
		return wrapped("recompute expiry", stored.ErrForeignEntry)
	}
	err := c.atKeyOf(ctx, e, func(set *stored.Variants, update stored.Updater) error {
		var changes []stored.Change
		for _, now := range set.All() {
			if now.SameVariant(e.stored) {
				changes = append(changes, stored.Change{Old: now, Next: c.judgeAgain(ctx, now)})
			}
		}
		if len(changes) == 0 {
			return nil
		}
		return update(func(old *stored.Variants) *stored.Variants {
			next, _ := old.Changed(changes)
			return next
		})
	})
	return c.reported(ctx, "recompute expiry", err)
}

// judgeAgain returns e under new rules, or nil if it is not to be kept.
func (c *Cache) judgeAgain(ctx context.Context, e *stored.Entry) *stored.Entry {
	r, err := http.NewRequestWithContext(ctx, cmp.Or(e.Method, http.MethodGet), e.URL, nil)
	if err != nil {
		return nil
	}
	resp := &http.Response{StatusCode: e.Status, Header: e.Header.Map(), ContentLength: e.Body.Size()}
	judged := c.judge(r, resp, e.InitialAge, e.Received)
	if judged.Verdict.Refused() || judged.Unwanted {
		return nil
	}
	again := e.Clone()
	again.Rules = rfc9111.NewRules(&judged, &c.policy)
	again.Derive()
	again.Used.Store(e.Used.Load())
	return again
}

// Clear removes everything, for every principal. No response that this cache has under way from the origin meanwhile is stored. The error is that of the store.
// To clear an empty cache is no error.
func (c *Cache) Clear(ctx context.Context) error {
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.AddAll()
	return c.reported(ctx, "clear", c.store.Clear(ctx))
}

// updateAll replaces each stored response by what judge makes of it, nil for none, and returns how many it has replaced.
// judge is the user's code, so it runs while the store holds no lock; a response that is replaced meanwhile is left alone.
// Where wanted is not nil, it is false for sets that judge would leave as they are.
func (c *Cache) updateAll(ctx context.Context, wanted func(*stored.Variants) bool, judge func(key string, e *stored.Entry) *stored.Entry) (n int, err error) {
	var failed error
	err = c.store.Each(ctx, wanted, func(key string, set *stored.Variants, update stored.Updater) bool {
		var changes []stored.Change
		for _, e := range set.Entries {
			if next := judge(key, e); next != e {
				changes = append(changes, stored.Change{Old: e, Next: next})
			}
		}
		if len(changes) == 0 {
			return true
		}
		changed := 0
		failed = update(func(old *stored.Variants) (next *stored.Variants) {
			next, changed = old.Changed(changes)
			return next
		})
		if failed == nil {
			n += changed
		}
		return failed == nil
	})
	return n, errors.Join(err, failed)
}

// Entries iterates over what is stored. The order says nothing. A store that cannot list what it holds yields nothing.
//
// In a [Memory], entries have their URLs as they were requested, with the secrets in their queries. A byte store holds no values of a query:
// [redact.Placeholder] stands for them. See [Cache.DeleteEntry] to remove one.
func (c *Cache) Entries(ctx context.Context) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		err := c.store.Each(ctx, nil, func(key string, set *stored.Variants, _ stored.Updater) bool {
			for _, e := range set.Entries {
				if !yield(c.shown(key, e)) {
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
			if seen[e.URL()] {
				continue
			}
			seen[e.URL()] = true
			if !yield(e.URL()) {
				return
			}
		}
	}
}

// SetEnabled switches the cache on or off for all requests, for operators. While it is off, requests pass it by and what is stored stays as it is.
func (c *Cache) SetEnabled(on bool) { c.off.Store(!on) }

// Enabled reports whether the cache is switched on.
func (c *Cache) Enabled() bool { return !c.off.Load() }

// reported is wrapped for an operation that only the store can have failed at: that is counted and traced, as for a request.
func (c *Cache) reported(ctx context.Context, operation string, err error) error {
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, stored.ErrForeignEntry) {
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
