package cache

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// history remembers the latest invalidations, so that a response that was requested before one is not stored after it.
// It remembers short forms: two tags with one keep a response from being stored, and nothing else.
type history struct {
	mu   sync.Mutex // guards the fields below
	next uint64     // number of the next invalidation
	tags [1024]uint64

	nextSieve uint64 // number of the next sieve
	sieves    [16]sieve
}

// A sieve is an invalidation of all responses that something is true of. It reports whether that is so for what was requested at a URL at a time.
// It calls no user's code, for it is asked later than the user's call, and under locks.
type sieve func(url string, requested time.Time) bool

// moment is a point in a history: what comes later may not be known there, but for the notes that were made there.
type moment struct {
	next         uint64 // number of the first note that may not be known
	ownFrom, own uint64 // the notes made there: number of the first, and how many
	nextSieve    uint64 // number of the first sieve that may not be known
}

// now returns the present moment.
func (h *history) now() moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return moment{next: h.next, nextSieve: h.nextSieve}
}

// addSieve notes an invalidation by a sieve.
func (h *history) addSieve(s sieve) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sieves[h.nextSieve%uint64(len(h.sieves))] = s
	h.nextSieve++
}

// sifted reports whether a response that was requested by r at a time may have been invalidated by a sieve since the given moment.
// What is forgotten counts as invalidated.
func (h *history) sifted(m moment, r *http.Request, requested time.Time) bool {
	sieves, forgotten := h.sievesSince(m)
	if len(sieves) == 0 {
		return forgotten
	}
	url := displayURL(r)
	return slices.ContainsFunc(sieves, func(s sieve) bool { return s(url, requested) })
}

// sievesSince returns the sieves that were noted since a moment, and whether some have been forgotten.
func (h *history) sievesSince(m moment) (sieves []sieve, forgotten bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nextSieve-m.nextSieve > uint64(len(h.sieves)) {
		return nil, true
	}
	for n := m.nextSieve; n < h.nextSieve; n++ {
		sieves = append(sieves, h.sieves[n%uint64(len(h.sieves))])
	}
	return sieves, false
}

// add notes invalidations.
func (h *history) add(tags ...tag) { h.addAt(moment{}, tags...) }

// addAt notes invalidations that an answer of the given moment makes itself, and returns the moment with them:
// they do not keep the answer from being stored, while those that others have made since then do.
func (h *history) addAt(m moment, tags ...tag) moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.ownFrom, m.own = h.next, uint64(len(tags))
	for _, tag := range tags {
		h.tags[h.next%uint64(len(h.tags))] = tag.short()
		h.next++
	}
	return m
}

// addAll notes that everything has been invalidated: all numbers that are remembered are of before.
func (h *history) addAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next += uint64(len(h.tags)) + 1
}

// since tells whether one of the tags may have been invalidated since the given moment. What is forgotten counts as invalidated.
func (h *history) since(m moment, tags []tag) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.next-m.next > uint64(len(h.tags)):
		return true
	case h.next-m.next == m.own:
		return false // the common case: nothing, or the moment's own notes
	}
	for _, tag := range tags {
		hash := tag.short()
		for n := m.next; n < h.next; n++ {
			if n-m.ownFrom >= m.own && h.tags[n%uint64(len(h.tags))] == hash {
				return true
			}
		}
	}
	return false
}
