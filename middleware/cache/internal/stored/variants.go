package stored

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// Variants are the responses that are stored under one key, at most 64: all variants of one resource, for one principal. They never change.
type Variants struct {
	Entries []*Entry
	Source  *Source // Generation a copy of what a byte store has
}

// MaxVariants bounds the stored responses under one key. Which a client can make many of, with one request field that a response varies on.
const MaxVariants = 64

// Size is how many bytes the entries are charged with.
func (s *Variants) Size() int64 {
	var size int64
	if s != nil {
		for _, e := range s.Entries {
			size += e.Size
		}
	}
	return size
}

// All returns the entries of s.
func (s *Variants) All() []*Entry {
	if s == nil {
		return nil
	}
	return s.Entries
}

// Tags are the tags of all entries, each once.
func (s *Variants) Tags() []invalidation.Tag {
	var all invalidation.TagList
	if s != nil {
		for _, e := range s.Entries {
			for _, t := range e.Tags {
				all.Add(t)
			}
		}
	}
	return all.Tags
}

// With returns s with e in place of those entries that e makes out of date: the ones with the same selectors.
// A Part joins a stored part that it continues, and does not replace the whole that it is a part of.
// At the limit, the variant that was used longest ago goes.
func (s *Variants) With(e *Entry, limit int64) *Variants {
	var entries []*Entry
	if s != nil {
		for _, old := range s.Entries {
			switch {
			case !old.SameVariant(e):
				entries = append(entries, old)
			case e.Part != nil && old.Part == nil && old.Status == http.StatusOK && old.Etag.StronglyEquals(e.Etag):
				return s
			case e.Part != nil && old.Part != nil:
				e = e.joinedWith(old, limit)
			}
		}
	}
	for len(entries) >= MaxVariants {
		first := LeastUsed(entries)
		entries = slices.DeleteFunc(entries, func(old *Entry) bool { return old == first })
	}
	return &Variants{Entries: append(entries, e)}
}

// WithoutBeforeLast returns s without those entries before the last for which drop is true.
func (s *Variants) WithoutBeforeLast(drop func(*Entry) bool) *Variants {
	last := s.Entries[len(s.Entries)-1]
	return s.Without(func(e *Entry) bool { return e != last && drop(e) })
}

// Overtook tells whether s holds, in the place of e, what was asked for while e was under way: then that is the later state of the two.
func (s *Variants) Overtook(e *Entry, now time.Time) bool {
	return s != nil && slices.ContainsFunc(s.Entries, func(old *Entry) bool {
		return old.Part == nil && old.SameVariant(e) && old.Requested.After(e.Requested) && !old.Requested.After(now)
	})
}

// SameVariant tells whether two entries cannot both be the answer to one request.
func (e *Entry) SameVariant(other *Entry) bool {
	return slices.EqualFunc(e.Selectors, other.Selectors, Selector.same) && (e.Search == nil || other.Search == nil || other.Search.CoversBlinded(e.Search.Query))
}

// joinedWith returns e with the bytes of a stored part beside its own, if they fit together, and as a whole response if none is missing then.
func (e *Entry) joinedWith(old *Entry, limit int64) *Entry {
	part, joint, ok := joinRanges(old, e, limit)
	if !ok {
		return e
	}
	j := e.Clone()
	j.Body, j.Part = Content{Bytes: joint.body(part), joint: joint}, &part
	j.Header = e.Header.Clone()
	if part.First == 0 && part.Last == part.Complete-1 {
		j.makeWhole()
	} else {
		j.Header["Content-Range"] = []string{part.String()}
		j.Header["Content-Length"] = []string{strconv.FormatInt(part.Size(), 10)}
	}
	j.Derive()
	return j
}

// Without returns s without those entries for which drop is true, or nil if none is left.
func (s *Variants) Without(drop func(*Entry) bool) *Variants {
	if s == nil {
		return nil
	}
	entries := slices.DeleteFunc(slices.Clone(s.Entries), drop)
	switch len(entries) {
	case 0:
		return nil
	case len(s.Entries):
		return s
	}
	return &Variants{Entries: entries}
}

func LeastUsed(entries []*Entry) *Entry {
	return slices.MinFunc(entries, func(a, b *Entry) int {
		return int(min(max(a.Used.Load()-b.Used.Load(), -1), 1))
	})
}

func (s *Variants) FromFuture(now time.Time) bool {
	return slices.ContainsFunc(s.Entries, func(e *Entry) bool { return e.FromFuture(now) })
}

// Changed returns s with changes made, as far as they concern what s holds, and how many did. Without any entries it is nil.
func (s *Variants) Changed(changes []Change) (*Variants, int) {
	if s == nil {
		return nil, 0
	}
	n := 0
	next := &Variants{}
	for _, e := range s.Entries {
		i := slices.IndexFunc(changes, func(c Change) bool { return e.SameAs(c.Old) })
		if i >= 0 {
			n++
			e = changes[i].Next
		}
		if e != nil {
			next.Entries = append(next.Entries, e)
		}
	}
	switch {
	case n == 0:
		return s, 0
	case len(next.Entries) == 0:
		return nil, n
	}
	return next, n
}

// Replaced is a set with another entry at one place.
func (s *Variants) Replaced(i int, e *Entry) *Variants {
	entries := append([]*Entry(nil), s.Entries...)
	entries[i] = e
	return &Variants{Entries: entries}
}

// Exchanged is s with another entry in the place of one.
func (s *Variants) Exchanged(old, next *Entry) *Variants {
	entries := append([]*Entry(nil), s.Entries...)
	for i, e := range entries {
		if e == old {
			entries[i] = next
		}
	}
	return &Variants{Entries: entries}
}

// HasChunks tells whether an entry of s has the body with this identifier.
func (s *Variants) HasChunks(id [16]byte) bool {
	if s == nil {
		return false
	}
	for _, e := range s.Entries {
		if e.Body.Chunks != nil && e.Body.Chunks.ID == id {
			return true
		}
	}
	return false
}
