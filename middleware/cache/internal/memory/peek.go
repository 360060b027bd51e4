package memory

import "github.com/plyhttp/ply/middleware/cache/internal/stored"

// Peek returns what Lookup would, and does not count as a use.
func (m *Store) Peek(key string) *stored.Variants {
	if found := m.peek(key); found != nil {
		return found.set
	}
	return nil
}
