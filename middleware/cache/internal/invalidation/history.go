package invalidation

import (
	"slices"
	"sync"
	"time"
)

// History remembers the latest invalidations, so that a response that was requested before one is not stored after it.
// It remembers short forms: two tags with one keep a response from being stored, and nothing else.
type History struct {
	mu   sync.Mutex // guards the fields below
	next uint64     // number of the next invalidation
	tags [1024]uint64

	nextFilter uint64 // number of the next sieve
	filters    [16]Filter
}

// A Filter is an invalidation of all responses that something is true of. It reports whether that is so for what was requested at a URL at a time.
// It calls no user's code, for it is asked later than the user's call, and under locks.
type Filter func(url string, requested time.Time) bool

// Moment is a point in a history: what comes later may not be known there, but for the notes that were made there.
type Moment struct {
	next         uint64 // number of the first note that may not be known
	ownFrom, own uint64 // the notes made there: number of the first, and how many
	nextFilter   uint64 // number of the first sieve that may not be known
}

// Now returns the present moment.
func (h *History) Now() Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Moment{next: h.next, nextFilter: h.nextFilter}
}

// AddFilter notes an invalidation by a sieve.
func (h *History) AddFilter(s Filter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.filters[h.nextFilter%uint64(len(h.filters))] = s
	h.nextFilter++
}

// FilteredSince reports whether a response that was requested at a time, and whose URL url returns, may have been invalidated by a sieve since the given moment.
// What is forgotten counts as invalidated.
func (h *History) FilteredSince(m Moment, url func() string, requested time.Time) bool {
	sieves, forgotten := h.sievesSince(m)
	if len(sieves) == 0 {
		return forgotten
	}
	of := url()
	return slices.ContainsFunc(sieves, func(s Filter) bool { return s(of, requested) })
}

// sievesSince returns the sieves that were noted since a moment, and whether some have been forgotten.
func (h *History) sievesSince(m Moment) (sieves []Filter, forgotten bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nextFilter-m.nextFilter > uint64(len(h.filters)) {
		return nil, true
	}
	for n := m.nextFilter; n < h.nextFilter; n++ {
		sieves = append(sieves, h.filters[n%uint64(len(h.filters))])
	}
	return sieves, false
}

// Add notes invalidations.
func (h *History) Add(tags ...Tag) { h.AddAt(Moment{}, tags...) }

// AddAt notes invalidations that an answer of the given moment makes itself, and returns the moment with them:
// they do not keep the answer from being stored, while those that others have made since then do.
func (h *History) AddAt(m Moment, tags ...Tag) Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.ownFrom, m.own = h.next, uint64(len(tags))
	for _, tag := range tags {
		h.tags[h.next%uint64(len(h.tags))] = tag.Short()
		h.next++
	}
	return m
}

// AddAll notes that everything has been invalidated: all numbers that are remembered are of before.
func (h *History) AddAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next += uint64(len(h.tags)) + 1
}

// Since tells whether one of the tags may have been invalidated since the given moment. What is forgotten counts as invalidated.
func (h *History) Since(m Moment, tags []Tag) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.next-m.next > uint64(len(h.tags)):
		return true
	case h.next-m.next == m.own:
		return false // the common case: nothing, or the moment's own notes
	}
	for _, tag := range tags {
		hash := tag.Short()
		for n := m.next; n < h.next; n++ {
			if n-m.ownFrom >= m.own && h.tags[n%uint64(len(h.tags))] == hash {
				return true
			}
		}
	}
	return false
}
