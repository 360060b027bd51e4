// Package keyed keeps a value for each key, for a bounded number of keys that are not in use.
package keyed

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Map makes a value for each key that is asked for, and forgets the value that is not in use and was unused the longest when there are too many.
// Values in use are never forgotten, and are as many as the requests that use them at most. It is safe for concurrent use.
type Map[T any] struct {
	make func(key string) T

	mu   sync.Mutex // guards the fields below
	busy map[string]*Entry[T]
	idle *simplelru.LRU[string, *Entry[T]]
}

// Entry is a key with its value.
type Entry[T any] struct {
	Key   string
	Value T

	users int // guarded by the Map's mu
}

// New returns a Map of values made by make, which keeps up to max of them that are not in use.
// make must not call the Map.
func New[T any](max int, make func(key string) T) *Map[T] {
	idle, _ := simplelru.NewLRU[string, *Entry[T]](max, nil)
	return &Map[T]{make: make, busy: map[string]*Entry[T]{}, idle: idle}
}

// Acquire returns the entry of key, which stays until Release.
func (m *Map[T]) Acquire(key string) *Entry[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.busy[key]
	if !ok {
		if e, ok = m.idle.Peek(key); ok {
			m.idle.Remove(key)
		} else {
			e = &Entry[T]{Key: key, Value: m.make(key)}
		}
		m.busy[key] = e
	}
	e.users++
	return e
}

// Release ends one use of an entry.
func (m *Map[T]) Release(e *Entry[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.users--; e.users == 0 {
		delete(m.busy, e.Key)
		m.idle.Add(e.Key, e)
	}
}

// Peek returns the value of key, if there is one.
func (m *Map[T]) Peek(key string) (value T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.busy[key]
	if !ok {
		if e, ok = m.idle.Peek(key); !ok {
			return value, false
		}
	}
	return e.Value, true
}

// All returns the values.
func (m *Map[T]) All() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]T, 0, len(m.busy)+m.idle.Len())
	for _, e := range m.busy {
		all = append(all, e.Value)
	}
	for _, e := range m.idle.Values() {
		all = append(all, e.Value)
	}
	return all
}
