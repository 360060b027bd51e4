package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/plyhttp/ply/store"
)

// What a record is charged with was measured, as the growth of the file: a row in two tables and in three or four indexes, and whole pages for what is long.
const (
	rowCharge  = 512
	pageCharge = 4 << 10
)

// charge returns about how many bytes a record takes in the file.
func charge(key string, r store.Record) int64 {
	data := int64(len(r.Data))
	if data > pageCharge/2 {
		data = (data + pageCharge - 1) / pageCharge * pageCharge
	}
	return data + rowCharge + int64(2*len(key)+2*len(r.Owner)+min(len(r.Label), maxLabel))
}

// makeRoom removes records until this many bytes more are within the bound: what has expired, what is doomed, and then what was used longest ago.
// It keeps the row with the id keep, which is about to be replaced. owner is that of the record that needs the room.
func (tx *tx) makeRoom(bytes, keep int64, owner string) error {
	counted := false
	for idle, before := 0, int64(0); ; {
		held, err := tx.number(background, "SELECT bytes FROM totals")
		if err != nil || held+bytes <= tx.store.bound() {
			return err
		}
		if idle++; held < before {
			idle = 0
		}
		if before = held; idle > maxIdle {
			return errIndexes
		}
		freed, err := tx.free(keep, owner)
		switch {
		case err != nil:
			return err
		case freed:
		case counted:
			return store.ErrTooLarge
		default: // nothing is left, and the sum says otherwise
			if counted, err = true, tx.count(); err != nil {
				return err
			}
		}
	}
}

// maxIdle is how many steps may free nothing, for what they only forget has to be forgotten, too. When there are more, indexes contradict each other.
const maxIdle = 1000

// countSQL computes the totals that the triggers maintain.
const countSQL = "SELECT count(*), coalesce(sum(size), 0) FROM records"

// count corrects the totals.
func (tx *tx) count() error {
	_, err := tx.exec(background, "UPDATE totals SET (records, bytes) = ("+countSQL+")")
	return err
}

// bound returns how many bytes the records may have at the moment.
func (s *Store) bound() int64 {
	if c := s.ceiling.Load(); c > 0 {
		return min(c, s.options.MaxBytes)
	}
	return s.options.MaxBytes
}

// squeeze lowers the bound below what the store held when the disk was full: removed records leave free pages in the file.
// It gives the log's room back at once. The caller holds the turn to write.
func (s *Store) squeeze(db *database) {
	if _, err := db.moveLog(); code(err) == codeFull {
		s.stuck.Store(true)
	}
	if held, err := db.writer.number(background, "SELECT bytes FROM totals"); err == nil {
		s.ceiling.Store(max(held/8*7, leastBytes/2))
	}
}

// relax raises the bound again, a little each minute.
func (s *Store) relax() {
	c := s.ceiling.Load()
	if c += c / 8; c > s.options.MaxBytes {
		c = 0
	}
	s.ceiling.Store(c)
}

// free removes one record or a few, so few that a Put is as quick in a full store as in an empty one. It reports whether there was any.
func (tx *tx) free(keep int64, owner string) (bool, error) {
	for _, step := range []func() (bool, error){
		func() (bool, error) { return tx.freeExpired(keep) },
		func() (bool, error) { return tx.freeDoomed(keep) },
		func() (bool, error) { return tx.evict(keep) },
		func() (bool, error) { return tx.evictParts(keep, owner) },
	} {
		if freed, err := step(); freed || err != nil {
			return freed, err
		}
	}
	return false, nil
}

// portion is how many records are removed at once.
const portion = 8

// freeExpired removes a few expired records.
func (tx *tx) freeExpired(keep int64) (bool, error) {
	n, err := tx.deleteExpired(time.Now().UnixMilli(), keep)
	return n > 0, err
}

// deleteExpired removes a few records whose time is over at now, in milliseconds, and returns how many.
func (tx *tx) deleteExpired(now, keep int64) (int, error) {
	found, err := tx.list(background, "SELECT id, key FROM records WHERE expires_at <= ?1 AND id <> ?2 ORDER BY expires_at LIMIT ?3", now, keep, int64(portion))
	for _, f := range found {
		if err == nil {
			err = tx.remove(f.id, f.key)
		}
	}
	return len(found), err
}

// doom marks the parts of a removed record for removal. There can be thousands, so the next Put and the keeper remove them, a few at a time.
func (tx *tx) doom(key string) error {
	last, err := tx.first(background, "SELECT id FROM records WHERE owner = ?1 AND owner <> '' LIMIT 1", key)
	if err != nil || last == nil {
		return err
	}
	_, err = tx.exec(background, `INSERT INTO doomed (owner, last_id) SELECT ?1, max(id) FROM records WHERE true
		ON CONFLICT (owner) DO UPDATE SET last_id = excluded.last_id`, key)
	if err == nil {
		tx.store.wake()
	}
	return err
}

// freeDoomed removes a few doomed records.
func (tx *tx) freeDoomed(keep int64) (bool, error) {
	doomed, err := tx.first(background, "SELECT owner, last_id FROM doomed LIMIT 1")
	if err != nil || doomed == nil {
		return false, err
	}
	n, err := tx.exec(background, `DELETE FROM records WHERE id IN (
		SELECT id FROM records WHERE owner = ?1 AND owner <> '' AND id <= ?2 AND id <> ?3 LIMIT ?4)`, doomed[0], doomed[1], keep, int64(portion))
	if err == nil && n == 0 {
		_, err = tx.exec(background, "DELETE FROM doomed WHERE owner = ?1", doomed[0])
	}
	return true, err
}

// evict removes the least recently used record and dooms its parts. If this process has used it since, evict records that use and looks for another.
func (tx *tx) evict(keep int64) (bool, error) {
	for {
		found, err := tx.list(background, "SELECT id, key FROM records WHERE owner = '' AND id <> ?1 ORDER BY used_at LIMIT 1", keep)
		if err != nil || len(found) == 0 {
			return false, err
		}
		used := tx.store.uses.take(found[0].key)
		if used == 0 {
			return true, tx.remove(found[0].id, found[0].key)
		}
		n, err := tx.exec(background, touchSQL, found[0].key, used)
		if err != nil {
			return false, err
		}
		if n == 0 { // another process has written down a later use
			return true, tx.remove(found[0].id, found[0].key)
		}
	}
}

// evictParts dooms the parts that were stored first, where nothing but parts is left: their owners are not there yet.
// The parts of one body do not push each other out, so that a body that is larger than the store is given up when the store is full of it.
func (tx *tx) evictParts(keep int64, owner string) (bool, error) {
	part, err := tx.first(background, "SELECT owner FROM records WHERE owner <> '' AND id <> ?1 ORDER BY stored_at LIMIT 1", keep)
	if err != nil || part == nil {
		return false, err
	}
	if part[0] == owner {
		return false, store.ErrTooLarge
	}
	return true, tx.doom(part[0].(string))
}

// touchSQL writes down a use. It counts only if it is later than what is there.
const touchSQL = "UPDATE records SET used_at = ?2 WHERE key = ?1 AND used_at < ?2"

type found struct {
	id  int64
	key string
}

// list returns the first two columns of a query, an id and a key.
func (c *conn) list(ctx context.Context, sql string, args ...any) (all []found, err error) {
	err = c.each(ctx, sql, func(row []driver.Value) bool {
		id, _ := row[0].(int64)
		key, _ := row[1].(string)
		all = append(all, found{id, key})
		return true
	}, args...)
	return all, err
}
