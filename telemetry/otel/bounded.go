package plyotel

import "sync"

// boundedSet keeps the first max values that it meets, and no others.
type boundedSet[T comparable] struct {
	max int

	mu   sync.RWMutex // guards seen
	seen map[T]struct{}
}

// has adds v if there is room, and reports whether v is in the set.
func (s *boundedSet[T]) has(v T) bool {
	s.mu.RLock()
	_, in := s.seen[v]
	full := len(s.seen) >= s.max
	s.mu.RUnlock()
	if in || full {
		return in
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, in := s.seen[v]; in {
		return true
	}
	if len(s.seen) >= s.max {
		return false
	}
	if s.seen == nil {
		s.seen = make(map[T]struct{})
	}
	s.seen[v] = struct{}{}
	return true
}
