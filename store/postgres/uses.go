package postgres

import (
	"context"
	"sync"
	"time"
)

// uses is what this process has read and not yet written down, so that reading is not writing.
// Eviction asks it before it drops a record, and the keeper writes it down once a minute.
type uses struct {
	mu   sync.Mutex // guards the fields below
	last time.Time
	at   map[string]time.Time // by key
}

// maxUses bounds the keys in memory. What is used beyond them counts from the next minute on.
const maxUses = 16 << 10

// now returns the time in microseconds, as PostgreSQL keeps it, later than any time before: the order of uses is strict in this process.
func (u *uses) now() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.tick()
}

// tick is now for those who hold mu.
func (u *uses) tick() time.Time {
	now := time.Now().Round(0).Truncate(time.Microsecond)
	if !now.After(u.last) {
		now = u.last.Add(time.Microsecond)
	}
	u.last = now
	return now
}

// add notes that key was used now.
func (u *uses) add(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil {
		u.at = make(map[string]time.Time)
	}
	if _, ok := u.at[key]; ok || len(u.at) < maxUses {
		u.at[key] = u.tick()
	}
}

// take returns when key was used, if it was, and forgets it.
func (u *uses) take(key string) (at time.Time, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok = u.at[key]
	delete(u.at, key)
	return at, ok
}

// takeAll returns everything, and forgets it.
func (u *uses) takeAll() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.at
	u.at = nil
	return all
}

// touch writes uses down that are later by at least so much than what the table has. No more than touchRows are in one transaction.
func (s *Store) touch(ctx context.Context, q querier, used map[string]time.Time, least time.Duration) error {
	keys, at := make([]string, 0, touchRows), make([]time.Time, 0, touchRows)
	write := func() error {
		rows, err := q.Query(ctx, s.sql.touch, keys, at, least.Microseconds())
		if err == nil {
			rows.Close()
			err = rows.Err()
		}
		keys, at = keys[:0], at[:0]
		return err
	}
	for key, t := range used {
		keys, at = append(keys, key), append(at, t)
		if len(keys) == touchRows {
			if err := write(); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return write()
}

const touchRows = 512
