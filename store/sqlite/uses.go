package sqlite

import (
	"sync"
	"time"
)

// uses is what this process has read and not yet written down, so that reading is not writing.
// Eviction asks it before it drops a record, and the keeper writes it down from time to time.
type uses struct {
	mu   sync.Mutex // guards the fields below
	last int64
	used map[string]int64 // by key: microseconds since 1970
}

// maxUses bounds the keys in memory. What is used beyond them counts from the next time on that they are written down.
const maxUses = 16 << 10

// now returns the time in microseconds, later than any time before: the order of uses is strict in this process.
func (u *uses) now() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.tick()
}

func (u *uses) tick() int64 {
	u.last = max(u.last+1, time.Now().UnixMicro())
	return u.last
}

// add notes that key was used now.
func (u *uses) add(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.used == nil {
		u.used = make(map[string]int64)
	}
	if _, ok := u.used[key]; ok || len(u.used) < maxUses {
		u.used[key] = u.tick()
	}
}

// take returns when key was used last, and forgets it; or 0.
func (u *uses) take(key string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := u.used[key]
	delete(u.used, key)
	return at
}

// takeAll returns everything, and forgets it.
func (u *uses) takeAll() map[string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.used
	u.used = nil
	return all
}
