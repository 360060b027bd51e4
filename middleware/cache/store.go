package cache

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Store keeps stored responses by key. Under each key is a [Set]: all the variants of one resource, for one principal.
//
// Implementations must be safe for concurrent use. An error is a miss to the cache, never to the caller of a request;
// a call must return when its context is done. One that does not is left to itself, up to a bound, and so is one that panics.
type Store interface {
	// Get returns what is stored under key, or nil.
	Get(ctx context.Context, key string) (*Set, error)

	// Update replaces what is stored under key by what change makes of it. Both may be nil, for nothing.
	// It is atomic: of two concurrent updates one sees the other's result. change may be called several times and has no effects.
	Update(ctx context.Context, key string, change func(*Set) *Set) error

	// DeleteTagged removes every set that has an entry with this tag. Entries that are put later are not affected.
	DeleteTagged(ctx context.Context, tag string) error
}

// ErrTooLarge is what an Update returns, or wraps, when the set cannot be stored because it exceeds the store's bounds. It is no fault of the store.
var ErrTooLarge = errors.New("cache: too large for the store")

// A Set is the variants that are stored under one key, at most 64. It never changes.
type Set struct {
	entries []*Entry
}

// maxVariants bounds the stored responses under one key. Which a client can make many of, with one request field that a response varies on.
const maxVariants = 64

// Entries returns the stored responses of s.
func (s *Set) Entries() []*Entry {
	if s == nil {
		return nil
	}
	return slices.Clone(s.entries)
}

// Size returns how many bytes the entries of s are charged with.
func (s *Set) Size() int64 {
	var size int64
	if s != nil {
		for _, e := range s.entries {
			size += e.size
		}
	}
	return size
}

// Tags returns the tags of all entries, each once.
func (s *Set) Tags() []string {
	var tags []string
	if s != nil {
		for _, e := range s.entries {
			for _, tag := range e.tags {
				if !slices.Contains(tags, tag) {
					tags = append(tags, tag)
				}
			}
		}
	}
	return tags
}

// with returns s with e in place of those entries that e makes out of date: the ones with the same selectors.
// A part joins a stored part that it continues, and does not replace the whole that it is a part of.
// At the limit, the variant that was used longest ago goes.
func (s *Set) with(e *Entry, limit int64) *Set {
	var entries []*Entry
	if s != nil {
		for _, old := range s.entries {
			switch {
			case !old.sameSlot(e):
				entries = append(entries, old)
			case e.part != nil && old.part == nil && old.status == http.StatusOK && old.etag.StronglyEquals(e.etag):
				return s
			case e.part != nil && old.part != nil:
				e = e.joinedWith(old, limit)
			}
		}
	}
	for len(entries) >= maxVariants {
		first := leastUsed(entries)
		entries = slices.DeleteFunc(entries, func(old *Entry) bool { return old == first })
	}
	return &Set{entries: append(entries, e)}
}

// overtook tells whether s holds, in the place of e, what was asked for while e was under way: then that is the later state of the two.
func (s *Set) overtook(e *Entry, now time.Time) bool {
	return s != nil && slices.ContainsFunc(s.entries, func(old *Entry) bool {
		return old.part == nil && old.sameSlot(e) && old.requested.After(e.requested) && !old.requested.After(now)
	})
}

// sameSlot tells whether two entries cannot both be the answer to one request.
func (e *Entry) sameSlot(other *Entry) bool {
	return e.sameSelectors(other) && (e.search == nil || other.search == nil || other.search.covers(e.search.query))
}

func (e *Entry) sameSelectors(other *Entry) bool {
	return slices.EqualFunc(e.selectors, other.selectors, selector.same)
}

// joinedWith returns e with the bytes of a stored part beside its own, if they fit together, and as a whole response if none is missing then.
func (e *Entry) joinedWith(old *Entry, limit int64) *Entry {
	part, joint, ok := joinParts(old, e, limit)
	if !ok {
		return e
	}
	j := e.copy()
	j.joint, j.body, j.part = joint, joint.body(part), &part
	j.header = e.header.Clone()
	if part.first == 0 && part.last == part.complete-1 {
		j.makeWhole()
	} else {
		j.header["Content-Range"] = []string{part.String()}
		j.header["Content-Length"] = []string{strconv.FormatInt(part.size(), 10)}
	}
	j.index()
	return j
}

// without returns s without those entries for which drop is true, or nil if none is left.
func (s *Set) without(drop func(*Entry) bool) *Set {
	if s == nil {
		return nil
	}
	entries := slices.DeleteFunc(slices.Clone(s.entries), drop)
	switch len(entries) {
	case 0:
		return nil
	case len(s.entries):
		return s
	}
	return &Set{entries: entries}
}

func leastUsed(entries []*Entry) *Entry {
	return slices.MinFunc(entries, func(a, b *Entry) int {
		return int(min(max(a.used.Load()-b.used.Load(), -1), 1))
	})
}
