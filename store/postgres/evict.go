package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plyhttp/ply/store"
)

// A querier is the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const (
	evictRows = 64  // records that are looked at in one step
	partRows  = 256 // parts that are removed with them at once; the keeper removes the rest
	maxSteps  = 100 // of a Put that makes room
)

// endOfTime is later than any use, also of a process whose clock is ahead.
var endOfTime = time.UnixMilli(lastMilli)

var errNoRoom = errors.New("others fill the store faster than it can be emptied")

// makeRoom removes records until the store is not too full: what has expired, and then what was used longest ago.
// keep is the record that is about to be replaced, and owner that of the record that needs the room.
func (s *Store) makeRoom(ctx context.Context, keep, owner string) error {
	s.wake()
	for range maxSteps {
		if s.room.over() <= 0 {
			return nil
		}
		n, err := s.remove(ctx, s.pool, s.sql.expired, time.Now(), int64(sweepRows))
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		gone, err := s.evict(ctx, s.pool, max(s.room.over(), 1), candidates{s.sql.oldestFree, keep, endOfTime})
		if err != nil {
			return err
		}
		s.evicted(gone)
		if gone.found {
			continue
		}
		// Nothing but parts is left: their owners are not there yet. The parts of one body do not push each other out,
		// so that a body that is larger than the store is given up when the store is full of it.
		n, err = s.remove(ctx, s.pool, s.sql.partsBesides, owner, keep, int64(partRows))
		if err != nil {
			return err
		}
		if n == 0 {
			return s.recount(ctx)
		}
	}
	return errNoRoom
}

// recount measures the table when nothing is left in it to remove: if it is not full, the count was wrong.
func (s *Store) recount(ctx context.Context) error {
	if err := s.measure(ctx, s.pool); err != nil {
		return err
	}
	if s.room.over() > 0 {
		return store.ErrTooLarge
	}
	return nil
}

// gone is what an eviction has removed. It counts when the transaction has been committed.
type gone struct {
	since    int64 // as room counts
	found    bool  // there was something to look at
	keys     []string
	versions []int64
	bytes    int64
	parts    int
}

// evicted counts what was removed, and tells of it.
func (s *Store) evicted(g gone) {
	s.room.freed(g.bytes, g.since)
	for i, key := range g.keys {
		s.announceKey(key)
		if g.parts == partRows { // there may be more
			s.doomed.add(key, g.versions[i])
		}
	}
}

// candidates say among which records an eviction looks.
type candidates struct {
	// A statement by itself leaves out what others have locked, which is what they evict now. Within a transaction its own locks would last to the end, and others
	// would evict what was used later: there it is the one that locks nothing.
	sql    string
	keep   string    // a key that stays
	before time.Time // what was used later stays
}

// evict removes those records that were used longest ago, as many as have need bytes, but no more than it looks at in one step.
// What this process has used since is written down instead, and stays.
func (s *Store) evict(ctx context.Context, q querier, need int64, among candidates) (g gone, err error) {
	type candidate struct {
		key  string
		used time.Time
		size int64
	}
	rows, _ := q.Query(ctx, among.sql, among.keep, int64(evictRows), among.before)
	candidates, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c candidate, err error) {
		err = row.Scan(&c.key, &c.used, &c.size)
		return c, err
	})
	if err != nil || len(candidates) == 0 {
		return gone{}, err
	}
	// What another process writes down as used while the rows are being locked comes with its new time at its old place.
	slices.SortStableFunc(candidates, func(a, b candidate) int { return a.used.Compare(b.used) })
	used := make(map[string]time.Time)
	var victims []string
	var at []time.Time
	for _, c := range candidates {
		if t, ok := s.uses.take(c.key); ok && t.After(c.used) {
			used[c.key] = t
			continue
		}
		if need > 0 {
			victims, at = append(victims, c.key), append(at, c.used)
			need -= c.size
		}
	}
	if err := s.touch(ctx, q, used, 0); err != nil {
		return gone{}, err
	}
	g, err = s.evictThese(ctx, q, victims, at)
	g.found = true
	return g, err
}

// evictThese removes records unless they have been used since, and their parts.
func (s *Store) evictThese(ctx context.Context, q querier, keys []string, used []time.Time) (g gone, err error) {
	if len(keys) == 0 {
		return g, nil
	}
	g.since = s.room.now()
	rows, err := q.Query(ctx, s.sql.evict, keys, used)
	if err != nil {
		return g, err
	}
	var key, owner string
	var size, version int64
	_, err = pgx.ForEachRow(rows, []any{&key, &size, &version}, func() error {
		g.keys, g.versions, g.bytes = append(g.keys, key), append(g.versions, version), g.bytes+size
		return nil
	})
	if err != nil || len(g.keys) == 0 {
		return g, err
	}
	if rows, err = q.Query(ctx, s.sql.doom, g.keys, g.versions, int64(partRows)); err != nil {
		return g, err
	}
	_, err = pgx.ForEachRow(rows, []any{&key, &size, &owner}, func() error {
		g.parts, g.bytes = g.parts+1, g.bytes+size
		return nil
	})
	return g, err
}

// remove runs a statement that deletes rows and returns the key, size and owner of each, and returns how many there were.
func (s *Store) remove(ctx context.Context, q querier, sql string, args ...any) (n int, err error) {
	since := s.room.now()
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	var key, owner string
	var size, freed int64
	_, err = pgx.ForEachRow(rows, []any{&key, &size, &owner}, func() error {
		n, freed = n+1, freed+size
		return nil
	})
	if err == nil {
		s.room.freed(freed, since)
	}
	return n, err
}

// doomed are the owners whose parts the keeper removes. What is beyond maxDoomed, or is lost when the process ends, is found as orphans.
type doomed struct {
	mu       sync.Mutex // guards the fields below
	versions map[string]int64
}

const maxDoomed = 4096

// add dooms the parts that are older than a version of their owner: those of the body that comes in its place are not.
func (d *doomed) add(owner string, version int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.versions == nil {
		d.versions = make(map[string]int64)
	}
	if _, ok := d.versions[owner]; ok || len(d.versions) < maxDoomed {
		d.versions[owner] = max(version, d.versions[owner])
	}
}

// take returns up to n owners and forgets them.
func (d *doomed) take(n int) (owners []string, versions []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for owner, version := range d.versions {
		if len(owners) == n {
			break
		}
		owners, versions = append(owners, owner), append(versions, version)
		delete(d.versions, owner)
	}
	return owners, versions
}
