package stored

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// Variants are the responses that are stored under one key, at most 64: all variants of one resource, for one principal. They are immutable.
type Variants struct {
	Entries []*Entry
	Source  *Source // of a copy of what a byte store has
}

// variantsOf returns the set of these entries. Of one entry, which is what most keys have, it is a part of that entry: one object, which a hit finds beside the rest.
func variantsOf(entries []*Entry) *Variants {
	if len(entries) == 1 && entries[0].alone.Entries != nil {
		return &entries[0].alone
	}
	return &Variants{Entries: entries}
}

// MaxVariants bounds the stored responses under one key. A client can create many by changing one field that a response varies on.
const MaxVariants = 64

// Size returns how many bytes the entries are charged with.
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

// With returns s with e in place of the entries that it replaces: those with the same selectors (RFC 9111 §4.1).
// A part is combined with a stored part that it continues, and does not replace the whole that it is a part of (RFC 9111 §3.4).
// At the limit, the least recently used variant goes.
func (s *Variants) With(e *Entry, limit int64) *Variants {
	var entries []*Entry
	if s != nil {
		for _, old := range s.Entries {
			switch {
			case !old.SameVariant(e):
				entries = append(entries, old)
			case e.Part != nil && old.Part == nil && old.Status == http.StatusOK && old.Etag().StronglyEquals(e.Etag()):
				return s
			case e.Part != nil && old.Part != nil:
				e = e.combinedWith(old, limit)
			}
		}
	}
	for len(entries) >= MaxVariants {
		first := LeastUsed(entries)
		entries = slices.DeleteFunc(entries, func(old *Entry) bool { return old == first })
	}
	if len(entries) == 0 && e.alone.Entries != nil {
		return &e.alone
	}
	return variantsOf(append(entries, e))
}

// WithoutBeforeLast returns s without those entries before the last for which drop is true.
func (s *Variants) WithoutBeforeLast(drop func(*Entry) bool) *Variants {
	last := s.Entries[len(s.Entries)-1]
	return s.Without(func(e *Entry) bool { return e != last && drop(e) })
}

// Overtook reports whether s holds, as the variant that e is, a response that was requested later than e: that is the later state of the two.
func (s *Variants) Overtook(e *Entry, now time.Time) bool {
	return s != nil && slices.ContainsFunc(s.Entries, func(old *Entry) bool {
		return old.Part == nil && old.SameVariant(e) && old.Requested.After(e.Requested) && !old.Requested.After(now)
	})
}

// SameVariant reports whether two entries are the same variant, so that one replaces the other.
func (e *Entry) SameVariant(other *Entry) bool {
	return slices.EqualFunc(e.Selectors, other.Selectors, Selector.same) && (e.Search == nil || other.Search == nil || other.Search.CoversBlinded(e.Search.Query))
}

// combinedWith returns e combined with the bytes of a stored part, if they fit together, and as a whole response if no byte is missing then
// (RFC 9111 §3.4, RFC 9110 §15.3.7.3).
func (e *Entry) combinedWith(old *Entry, limit int64) *Entry {
	part, buffer, ok := combineRanges(old, e, limit)
	if !ok {
		return e
	}
	j := e.Clone()
	j.Body, j.Part = Content{Bytes: buffer.body(part), buffer: buffer}, &part
	h := e.Header.Map()
	h["Content-Length"] = []string{strconv.FormatInt(part.Size(), 10)}
	h["Content-Range"] = []string{part.String()}
	if part.First == 0 && part.Last == part.Complete-1 { // with all bytes it is a whole response
		j.Part, j.Status, j.Line = nil, http.StatusOK, NewStatusLine(http.StatusOK, "200 OK", e.Line.Proto, e.Line.Major, e.Line.Minor)
		delete(h, "Content-Range")
	}
	j.Header = NewHeader(h)
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
	return variantsOf(entries)
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

// HasChunks reports whether an entry of s has the body with this identifier.
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
