package inspect

import "time"

const (
	secondsKept = 300  // five minutes
	minutesKept = 1440 // a day
)

// bucket counts what ended within one step of time.
type bucket struct {
	T           int64 `json:"t"` // when it began, in milliseconds of Unix time
	Requests    int64 `json:"requests"`
	Hits        int64 `json:"hits"`
	Stale       int64 `json:"stale"`
	Revalidated int64 `json:"revalidated"`
	Refreshed   int64 `json:"refreshed"`
	Collapsed   int64 `json:"collapsed"`
	Misses      int64 `json:"misses"`
	Bypassed    int64 `json:"bypassed"`
	Refused     int64 `json:"refused"`
	Direct      int64 `json:"direct"`
	Errors      int64 `json:"errors"`
	Exchanges   int64 `json:"exchanges"` // requests that the store alone did not answer, without retries
	Bytes       int64 `json:"bytes"`     // of bodies that callers read
	Entries     int64 `json:"entries"`   // in the cache's memory, when the step began
	CacheBytes  int64 `json:"cacheBytes"`
}

func (b *bucket) add(word string, bytes int64) {
	b.Requests++
	b.Bytes += bytes
	if of := b.of(word); of != nil {
		*of++
	}
	switch word {
	case "hit", "stale", "refused", outcomeCollapsed:
	default:
		b.Exchanges++
	}
}

// of is the counter of an outcome.
func (b *bucket) of(word string) *int64 {
	switch word {
	case "hit":
		return &b.Hits
	case "stale":
		return &b.Stale
	case "revalidated":
		return &b.Revalidated
	case "refreshed":
		return &b.Refreshed
	case outcomeCollapsed:
		return &b.Collapsed
	case "miss":
		return &b.Misses
	case "bypassed":
		return &b.Bypassed
	case "refused":
		return &b.Refused
	case outcomeDirect:
		return &b.Direct
	case outcomeError:
		return &b.Errors
	}
	return nil
}

// series is a ring of buckets: what is older than the ring falls out of it.
type series struct {
	step   int64 // seconds
	ring   []bucket
	totals bucket
}

func newSeries(step int64, n int) *series { return &series{step: step, ring: make([]bucket, n)} }

// at returns the bucket of a moment, and whether it has just begun. It is nil for a moment that has fallen out of the ring.
func (s *series) at(now time.Time) (b *bucket, first bool) {
	step := now.Unix() / s.step
	b = &s.ring[int(step%int64(len(s.ring)))]
	switch t := step * s.step * 1000; {
	case b.T > t:
		return nil, false
	case b.T < t:
		*b, first = bucket{T: t}, true
	}
	return b, first
}

// peek returns a copy of the bucket of a moment, zero if nothing has ended in it. It begins none: that is for the hop which is the first of it.
func (s *series) peek(now time.Time) bucket {
	step := now.Unix() / s.step
	if b := s.ring[int(step%int64(len(s.ring)))]; b.T == step*s.step*1000 {
		return b
	}
	return bucket{}
}

// add counts a hop, and reports whether it is the first of its bucket.
func (s *series) add(now time.Time, word string, bytes int64) (first bool) {
	b, first := s.at(now)
	if b != nil {
		b.add(word, bytes)
	}
	s.totals.add(word, bytes)
	return first
}

// gauge notes what the cache holds.
func (s *series) gauge(now time.Time, entries, bytes int64) {
	if b, _ := s.at(now); b != nil {
		b.Entries, b.CacheBytes = entries, bytes
	}
	s.totals.Entries, s.totals.CacheBytes = entries, bytes
}

// since returns copies of the buckets that are not older than the ring, oldest first.
func (s *series) since(now time.Time) []bucket {
	var all []bucket
	last := now.Unix() / s.step
	for step := last - int64(len(s.ring)) + 1; step <= last; step++ {
		if step < 0 {
			continue
		}
		if b := s.ring[int(step%int64(len(s.ring)))]; b.T == step*s.step*1000 && b.Requests > 0 {
			all = append(all, b)
		}
	}
	return all
}
