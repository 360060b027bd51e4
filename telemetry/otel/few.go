package plyotel

import "sync"

// few is a bounded set of values: the first max values are in it.
type few[T comparable] struct {
	max int

	mu   sync.RWMutex // guards seen
	seen map[T]struct{}
}

// has adds v if there is room, and reports whether v is in the set.
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
