package cache

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// variants are the responses that are stored under one key, at most 64: all variants of one resource, for one principal. They never change.
type variants struct {
	entries []*Entry
	from    *provenance // of a copy of what a byte store has
}

// maxVariants bounds the stored responses under one key. Which a client can make many of, with one request field that a response varies on.
const maxVariants = 64

// size is how many bytes the entries are charged with.
func (s *variants) size() int64 {
	var size int64
	if s != nil {
		for _, e := range s.entries {
			size += e.size
		}
	}
	return size
}

// all returns the entries of s.
func (s *variants) all() []*Entry {
	if s == nil {
		return nil
	}
	return s.entries
}

// tags are the tags of all entries, each once.
func (s *variants) tags() []tag {
	var all tagList
	if s != nil {
		for _, e := range s.entries {
			for _, t := range e.tags {
				all.add(t)
			}
		}
	}
	return all.tags
}

// with returns s with e in place of those entries that e makes out of date: the ones with the same selectors.
// A part joins a stored part that it continues, and does not replace the whole that it is a part of.
// At the limit, the variant that was used longest ago goes.
func (s *variants) with(e *Entry, limit int64) *variants {
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
	return &variants{entries: append(entries, e)}
}

// ofLast returns s without those entries before the last for which drop is true.
func (s *variants) ofLast(drop func(*Entry) bool) *variants {
	last := s.entries[len(s.entries)-1]
	return s.without(func(e *Entry) bool { return e != last && drop(e) })
}

// selects tells which stored responses can be the answer to the request.
func (x *exchange) selects() func(*Entry) bool {
	key := x.cache.secret()
	query := "" // blinded when the first entry needs it
	return func(e *Entry) bool {
		if e.search != nil && query == "" {
			query = blinded(queryOf(x.request))
		}
		return (e.search == nil || e.search.coversBlinded(query)) && selects(e, x.request, key)
	}
}

// supersedes tells which stored responses must go when next is stored as the answer to the request: those that could be the answer to it as well,
// and the one that the origin has confirmed if it varies on other fields since then. With which values of these it was made, nobody knows any more (RFC 9111 §4.3.4).
func (x *exchange) supersedes(next *Entry) func(*Entry) bool {
	selects := x.selects()
	return func(e *Entry) bool {
		return selects(e) || x.updated != nil && e.sameAs(x.updated) && !e.sameFields(next)
	}
}

// outweighed tells whether next is an error, and what has been stored while it was under way can still be served.
func (x *exchange) outweighed(s *variants, next *Entry, now time.Time) bool {
	if s == nil || next.status < 400 {
		return false
	}
	selects := x.selects()
	return slices.ContainsFunc(s.entries, func(e *Entry) bool {
		return e.part == nil && selects(e) && displacesInVain(e, next, &x.cache.posture, now)
	})
}

// overtook tells whether s holds, in the place of e, what was asked for while e was under way: then that is the later state of the two.
func (s *variants) overtook(e *Entry, now time.Time) bool {
	return s != nil && slices.ContainsFunc(s.entries, func(old *Entry) bool {
		return old.part == nil && old.sameSlot(e) && old.requested.After(e.requested) && !old.requested.After(now)
	})
}

// sameSlot tells whether two entries cannot both be the answer to one request.
func (e *Entry) sameSlot(other *Entry) bool {
	return slices.EqualFunc(e.selectors, other.selectors, selector.same) && (e.search == nil || other.search == nil || other.search.coversBlinded(e.search.query))
}

// joinedWith returns e with the bytes of a stored part beside its own, if they fit together, and as a whole response if none is missing then.
func (e *Entry) joinedWith(old *Entry, limit int64) *Entry {
	part, joint, ok := joinParts(old, e, limit)
	if !ok {
		return e
	}
	j := e.copy()
	j.body, j.part = content{bytes: joint.body(part), joint: joint}, &part
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
func (s *variants) without(drop func(*Entry) bool) *variants {
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
	return &variants{entries: entries}
}

func leastUsed(entries []*Entry) *Entry {
	return slices.MinFunc(entries, func(a, b *Entry) int {
		return int(min(max(a.used.Load()-b.used.Load(), -1), 1))
	})
}
