package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/urlpattern"
	"github.com/plyhttp/ply/redact"
)

// Contains tells whether a stored response would be selected for r, fresh or not, by any connection of the chains that the cache stands in.
func (c *Cache) Contains(r *http.Request) bool {
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

// Delete removes what is stored under r's key, all variants of it, by whatever connection of the chains that the cache stands in it came.
// Other principals' copies stay; see [Cache.DeleteURL].
func (c *Cache) Delete(ctx context.Context, r *http.Request) error {
	c.events.add(c.tagsOf(r)...)
	var failed error
	for _, path := range c.paths(r) {
		failed = errors.Join(failed, c.deleteBy(ctx, r, path))
	}
	return failed
}

func (c *Cache) deleteBy(ctx context.Context, r *http.Request, path connection.Path) error {
	key, err := c.appendKey(nil, r, path)
	if err != nil {
		return fmt.Errorf("cache: delete: %w", err)
	}
	err = c.store.update(ctx, string(key), func(*variants) *variants { return nil })
	if err != nil || !c.searches.Load() {
		return wrapped("delete", err)
	}
	if key, err = c.searchKey(r, path); err != nil {
		return fmt.Errorf("cache: delete: %w", err)
	}
	return wrapped("delete", c.store.update(ctx, string(key), func(old *variants) *variants {
		return old.without(func(e *Entry) bool { return e.search == nil || e.search.covers(queryOf(r)) })
	}))
}

// DeleteURL removes everything that is stored for a URL: all variants, methods, and every principal's copy.
// A response that is under way from the origin meanwhile is not stored.
func (c *Cache) DeleteURL(ctx context.Context, url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("cache: delete: %w", redact.Error(err))
	}
	return wrapped("delete", c.drop(ctx, c.tagsOf(r)...))
}

// DeleteGroup removes the stored responses of a cache group (RFC 9875). The URL is any one of the origin whose group is meant.
func (c *Cache) DeleteGroup(ctx context.Context, url, group string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("cache: delete: %w", redact.Error(err))
	}
	return wrapped("delete", c.drop(ctx, c.groupTags(r, []string{group})...))
}

// DeletePattern removes the stored responses whose URL fits a pattern of the kind that expiry.ByURL takes, and returns how many there were.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (int, error) {
	p, err := urlpattern.Compile(pattern)
	if err != nil {
		return 0, fmt.Errorf("cache: pattern %q: %w", pattern, err)
	}
	return c.DeleteFunc(ctx, func(e *Entry) bool {
		r, err := http.NewRequest(http.MethodGet, e.url, nil)
		return err == nil && p.Reaches(r)
	})
}

// DeleteExpired removes the stored responses that are stale and past the windows in which a stale response may still be used,
// and returns how many there were. They could have been validated: a cache that is not short of room need not call it.
// A [store.Expirer] is asked to give back the room of its expired records as well; one that cannot list does only that, and their number is returned.
func (c *Cache) DeleteExpired(ctx context.Context) (int, error) {
	now := time.Now()
	n, err := c.DeleteFunc(ctx, func(e *Entry) bool {
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
	return c.DeleteFunc(ctx, func(e *Entry) bool { return !e.Fresh(now) })
}

// DeleteOlderThan removes the stored responses that were received or validated longer than d ago, and returns how many there were.
func (c *Cache) DeleteOlderThan(ctx context.Context, d time.Duration) (int, error) {
	now := time.Now()
	return c.DeleteFunc(ctx, func(e *Entry) bool { return e.resident(now) > d })
}

// DeleteFunc removes the stored responses for which drop is true, and returns how many there were. drop must not call the cache or its store.
func (c *Cache) DeleteFunc(ctx context.Context, drop func(*Entry) bool) (int, error) {
	n, err := c.updateAll(ctx, func(e *Entry) *Entry {
		if drop(e) {
			return nil
		}
		return e
	})
	return n, wrapped("delete", err)
}

// RecomputeExpiry asks the expiry strategy anew about all stored responses, as if they had just been received when they were.
// The strategy sees a request that has the URL and nothing else. What it refuses is removed.
func (c *Cache) RecomputeExpiry(ctx context.Context) error {
	_, err := c.updateAll(ctx, func(e *Entry) *Entry { return c.judgeAgain(ctx, e) })
	return wrapped("recompute expiry", err)
}

// judgeAgain returns e under new rules, or nil if it is not to be kept.
func (c *Cache) judgeAgain(ctx context.Context, e *Entry) *Entry {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return nil
	}
	resp := &http.Response{StatusCode: e.status, Header: e.header.Clone(), ContentLength: e.body.size()}
	judged := c.judge(r, resp, e.age0, e.received)
	if judged.verdict.Refused() {
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
	return wrapped("clear", c.store.clear(ctx))
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

// URLs iterates over the URLs for which something is stored, each once.
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

// wrapped names the operation that failed.
func wrapped(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cache: %s: %w", operation, err)
}
