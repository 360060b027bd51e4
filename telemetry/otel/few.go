package plyotel

import "sync"

// few keeps a set of values small: the first ones to come are in it, the others are not.
type few[T comparable] struct {
	max int

	mu   sync.RWMutex // guards seen
	seen map[T]struct{}
}

// has takes v in if there is room, and tells whether it is in.
func (f *few[T]) has(v T) bool {
	f.mu.RLock()
	_, in := f.seen[v]
	full := len(f.seen) >= f.max
	f.mu.RUnlock()
	if in || full {
		return in
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, in := f.seen[v]; in {
		return true
	}
	if len(f.seen) >= f.max {
		return false
	}
	if f.seen == nil {
		f.seen = make(map[T]struct{})
	}
	f.seen[v] = struct{}{}
	return true
}
