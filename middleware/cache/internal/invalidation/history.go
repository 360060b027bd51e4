package invalidation

import (
	"slices"
	"sync"
	"time"
)

// History remembers the latest invalidations, so that a response that was requested before one is not stored after it.
// It remembers the short forms of tags: two tags with the same one keep a response from being stored, and nothing else.
type History struct {
	mu   sync.Mutex // guards the fields below
	next uint64     // number of the next invalidation
	tags [1024]uint64
	at   [1024]int64 // when each was added, in nanoseconds since 1970

	nextFilter uint64 // number of the next filter
	filters    [16]Filter
	filteredAt [16]int64

	forgotten int64 // when the latest of what is remembered no more was added, or 0
}

// A Filter is an invalidation of all responses that match a condition. It reports whether a response that was requested at a URL at a time matches.
// It must not call the user's code: it is called after the user's call has returned, and under locks.
type Filter func(url string, requested time.Time) bool

// Moment is a point in a history. Later invalidations are not known at it, except those that were added with AddAt.
type Moment struct {
	next         uint64 // number of the first note that may not be known
	ownFrom, own uint64 // the notes made there: number of the first, and how many
	nextFilter   uint64 // number of the first filter that may not be known
}

// Now returns the present moment.
func (h *History) Now() Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Moment{next: h.next, nextFilter: h.nextFilter}
}

// AddFilter records an invalidation by a filter.
func (h *History) AddFilter(s Filter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.nextFilter % uint64(len(h.filters))
	h.forgotten = max(h.forgotten, h.filteredAt[i])
	h.filters[i], h.filteredAt[i] = s, time.Now().UnixNano()
	h.nextFilter++
}

// FilteredSince reports whether a response that was requested at a time, and whose URL url returns, may have been invalidated by a filter since the given moment.
// Beyond the memory of the history, it counts as invalidated.
func (h *History) FilteredSince(m Moment, url func() string, requested time.Time) bool {
	sieves, forgotten := h.filtersSince(m)
	if len(sieves) == 0 {
		return forgotten
	}
	of := url()
	return slices.ContainsFunc(sieves, func(s Filter) bool { return s(of, requested) })
}

// filtersSince returns the filters that were added since a moment, and whether some have been forgotten.
func (h *History) filtersSince(m Moment) (sieves []Filter, forgotten bool) {
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

// Add records invalidations.
func (h *History) Add(tags ...Tag) { h.AddAt(Moment{}, tags...) }

// AddAt records the invalidations that a response itself causes, and returns the moment of its request with them: they do not keep
// the response from being stored. Those that others have caused since that moment do.
func (h *History) AddAt(m Moment, tags ...Tag) Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.ownFrom, m.own = h.next, uint64(len(tags))
	now := time.Now().UnixNano()
	for _, tag := range tags {
		i := h.next % uint64(len(h.tags))
		h.forgotten = max(h.forgotten, h.at[i])
		h.tags[i], h.at[i] = tag.Short(), now
		h.next++
	}
	return m
}

// AddAll records that everything has been invalidated: no earlier moment reaches into the memory any more.
func (h *History) AddAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next += uint64(len(h.tags)) + 1
}

// Since reports whether one of the tags may have been invalidated since the given moment. Beyond the memory of the history, it counts as invalidated.
func (h *History) Since(m Moment, tags []Tag) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.next-m.next > uint64(len(h.tags)):
		return true
	case h.next-m.next == m.own:
		return false // the common case: no invalidations, or only the moment's own
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

// After reports whether a response that was requested at a URL at a time may have been invalidated since, by one of its tags or by a filter.
// It goes by the wall clock, for a response from outside, of which no moment is known. Beyond the memory of the history, it counts as invalidated.
// What AddAll records does not count: it is about what was stored or under way then.
func (h *History) After(requested time.Time, tags []Tag, url string) bool {
	since := requested.UnixNano()
	h.mu.Lock()
	if h.forgotten > since {
		h.mu.Unlock()
		return true
	}
	for i, at := range h.at {
		if at > since && slices.ContainsFunc(tags, func(t Tag) bool { return t.Short() == h.tags[i] }) {
			h.mu.Unlock()
			return true
		}
	}
	var later []Filter
	for i, at := range h.filteredAt {
		if at > since {
			later = append(later, h.filters[i])
		}
	}
	h.mu.Unlock()
	return slices.ContainsFunc(later, func(s Filter) bool { return s(url, requested) })
}
