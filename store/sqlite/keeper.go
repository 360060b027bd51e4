package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	keepEvery  = time.Minute
	softLog    = 4 << 20  // this process has written so much: the keeper moves the write-ahead log into the file
	hardLog    = 16 << 20 // beyond it, a Put moves it itself
	fullLog    = 64 << 20 // beyond it, a Put fails: a reader that does not stop keeps the log from being emptied
	spareShare = 8        // one in so many pages may be free,
	sparePages = 128      // and so many anyway
)

// pauses returns how long to wait before the next try to lock the file: about as long as a transaction takes, and random, so that waiting connections do not collide again.
func pauses() time.Duration { return 50*time.Microsecond + rand.N(500*time.Microsecond) }

// wake makes the keeper look for work now. The channel holds one such wish, so that it never blocks, and none is lost while the keeper works.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// keep runs the maintenance that no call waits for. It is one goroutine, started by Open, and ends when the store is closed.
// All that it does to the file are short transactions under the turn to write, as those of a Put, so no caller waits long for it.
// Only this goroutine repairs the file and gives way: two of them could each remove the file that the other has made.
func (s *Store) keep() {
	every := time.NewTicker(keepEvery)
	defer every.Stop()
	s.audit()
	for {
		s.tidy()
		select {
		case <-s.closing:
			return
		case r := <-s.reports:
			s.repair(r)
		case <-s.kick:
		case <-every.C:
			s.everyMinute()
		}
	}
}

// audit counts the records once, because the totals may come from a damaged page.
func (s *Store) audit() {
	ctx, cancel := context.WithTimeout(background, keepEvery)
	defer cancel()
	_ = s.useOnce(ctx, func(db *database) error {
		right := true
		err := s.read(ctx, db, func(c *conn) error {
			n, err := c.number(ctx, "SELECT (records, bytes) = ("+countSQL+") FROM totals")
			right = n == 1
			return err
		})
		if err != nil || right {
			return err
		}
		return s.write(ctx, db, (*tx).count)
	})
}

// everyMinute runs the periodic maintenance.
func (s *Store) everyMinute() {
	s.writeUses(keepEvery)
	s.relax()
	if s.stuck.Load() {
		s.giveWay()
	}
}

var errDiskFull = errors.New("the disk was full for a minute, and had no room to remove records one by one")

// giveWay removes the file if the disk is still full: to remove single records, SQLite needs room too.
// On a full disk a cache is of little use, so it gives its room back to other programs.
func (s *Store) giveWay() {
	var err error
	_ = s.useOnce(background, func(db *database) error {
		return s.inTurn(background, db, func() error {
			_, err = db.moveLog()
			return nil
		})
	})
	if code(err) == codeFull && s.abandon() && s.reopen() == nil {
		s.ceiling.Store(0)
		s.tell(errDiskFull)
		err = nil
	}
	s.stuck.Store(code(err) == codeFull)
}

// keepLog moves the log into the file whenever enough was written. Others read and write meanwhile. It ends when the store is closed.
func (s *Store) keepLog() {
	for {
		select {
		case <-s.closing:
			return
		case <-s.written:
		}
		// PASSIVE waits for no lock: what readers still need stays in the log until the next time.
		_ = s.useOnce(background, func(db *database) error {
			return s.read(background, db, func(c *conn) error {
				_, err := c.exec(background, "PRAGMA wal_checkpoint(PASSIVE)")
				return err
			})
		})
	}
}

// tidy removes expired records and parts without an owner, and gives their room back. A step that fails is tried again the next time.
func (s *Store) tidy() {
	ctx, cancel := context.WithTimeout(context.Background(), keepEvery)
	defer cancel()
	_ = s.useOnce(ctx, func(db *database) error {
		if err := s.doomOrphans(ctx, db); err != nil {
			return err
		}
		for _, step := range []func(*tx) (bool, error){
			func(tx *tx) (bool, error) { return tx.freeDoomed(0) },
			func(tx *tx) (bool, error) { return tx.freeExpired(0) },
			(*tx).keepWithin,
			(*tx).shrink,
		} {
			if err := s.repeatedly(ctx, db, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// repeatedly runs a step until it has nothing left to do, each time in a transaction of its own so that other writers get their turn.
func (s *Store) repeatedly(ctx context.Context, db *database, step func(*tx) (bool, error)) error {
	for more := true; more; {
		err := s.write(ctx, db, func(tx *tx) (err error) {
			more, err = step(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// orphansSQL finds owners that do not exist and whose parts are older than Options.OrphanAge. It jumps from owner to owner in the index.
const orphansSQL = `WITH RECURSIVE o (owner) AS (
		SELECT min(owner) FROM records WHERE owner <> ''
		UNION ALL
		SELECT (SELECT min(owner) FROM records WHERE owner <> '' AND owner > o.owner) FROM o WHERE o.owner IS NOT NULL
	) SELECT 0, o.owner FROM o WHERE o.owner IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM records e WHERE e.key = o.owner)
		AND (SELECT max(stored_at) FROM records p WHERE p.owner <> '' AND p.owner = o.owner) < ?1`

// doomOrphans dooms the parts of responses that were never completed. It looks for them without the write lock.
func (s *Store) doomOrphans(ctx context.Context, db *database) error {
	before := time.Now().Add(-s.options.OrphanAge).UnixMicro()
	var owners []found
	err := s.read(ctx, db, func(c *conn) (err error) {
		owners, err = c.list(ctx, orphansSQL, before)
		return err
	})
	for _, o := range owners {
		if err == nil {
			err = s.write(ctx, db, func(tx *tx) error { return tx.doomOrphan(o.key, before) })
		}
	}
	return err
}

// doomOrphan dooms the parts of an owner, unless the owner or another part was stored since they were found.
func (tx *tx) doomOrphan(owner string, before int64) error {
	n, err := tx.number(background, "SELECT count(*) FROM records WHERE key = ?1 OR owner = ?1 AND owner <> '' AND stored_at >= ?2", owner, before)
	if err != nil || n > 0 {
		return err
	}
	return tx.doom(owner)
}

// keepWithin makes room if there is more in the file than MaxBytes, which may be less than it was the last time.
func (tx *tx) keepWithin() (bool, error) {
	held, err := tx.number(background, "SELECT bytes FROM totals")
	if err != nil || held <= tx.store.options.MaxBytes {
		return false, err
	}
	return tx.free(0, "")
}

// shrink gives a batch of free pages back to the file system if there are many.
func (tx *tx) shrink() (bool, error) {
	free, err := tx.number(background, "PRAGMA freelist_count")
	if err != nil {
		return false, err
	}
	pages, err := tx.number(background, "PRAGMA page_count")
	if err != nil || free <= max(sparePages, pages/spareShare) {
		return false, err
	}
	return true, tx.script("PRAGMA incremental_vacuum(128)")
}

var errLogFull = errors.New("the write-ahead log is full: another connection has been reading the file for long, and does not stop")

// boundLog moves the log into the file when the keeper cannot, because others read or write all the time. The caller holds the turn to write.
func (s *Store) boundLog(ctx context.Context, db *database) error {
	size, current := db.logSize()
	if !current {
		return errMoved
	}
	if size <= db.tried+hardLog && size <= fullLog {
		return nil
	}
	// A reader of an old state may be in the way. Then the next Put does not try again while the log has room.
	moved, err := db.moveLog()
	db.tried = size
	if moved {
		db.tried = 0
	}
	if code(err) == codeFull && size <= fullLog {
		return nil // the log itself may still have room
	}
	if err != nil || moved || size <= fullLog {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, logPatience, errLogFull)
	defer cancel()
	return patiently(ctx, s.closing, func() error {
		if moved, err := db.moveLog(); err != nil || moved {
			return err
		}
		if size, _ := db.logSize(); size <= fullLog {
			return nil
		}
		return errInTheWay
	})
}

// logPatience bounds the wait for room in the log.
const logPatience = time.Second

// moveLog moves the log into the file and empties it. It reports whether it did; if not, another process is in the way.
// The caller may write.
func (db *database) moveLog() (bool, error) {
	row, err := db.writer.first(background, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil && !busy(err) {
		return false, err
	}
	return row != nil && row[0] == driver.Value(int64(0)), nil
}

// writeUses writes down what was used since it was written down, if that is at least so long ago.
func (s *Store) writeUses(least time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all := s.uses.takeAll()
	for keys := range slices.Chunk(slices.Collect(maps.Keys(all)), 256) {
		_ = s.useOnce(ctx, func(db *database) error {
			return s.write(ctx, db, func(tx *tx) error { return tx.touch(keys, all, least) })
		})
	}
}

// lastUses records the uses that are not yet in the file when the store is closed, so that the next store evicts the right records. It does not wait long for a lock.
func (s *Store) lastUses(db *database) {
	all := s.uses.takeAll()
	if len(all) == 0 || !db.current() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = patiently(ctx, nil, func() error {
		tx := &tx{conn: db.writer, store: s}
		return transaction(ctx, db.writer, func() error { return tx.touch(slices.Collect(maps.Keys(all)), all, 0) })
	})
}

func (tx *tx) touch(keys []string, used map[string]int64, least time.Duration) error {
	for _, key := range keys {
		at := used[key]
		if _, err := tx.exec(background, touchSQL+" - ?3", key, at, least.Microseconds()); err != nil {
			return err
		}
	}
	return nil
}

// report says that damage was found, and how many resets there had been.
type report struct {
	reason error
	resets int64
}

// report hands the damage to the keeper. It never blocks: if the keeper has a report already, it empties the file all the same.
func (s *Store) report(r report) {
	select {
	case s.reports <- r:
	default:
	}
}

// repair empties the file, because damage in one place may not be the only one. If it cannot be emptied in place, repair makes it anew.
func (s *Store) repair(r report) {
	// Two calls may find one damage:
	//	A: reads a bad page   B: reads a bad page   A: reports   keeper: empties the file   B: reports
	if r.resets != s.resets.Load() {
		return // the file was emptied after this damage was found
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.useOnce(ctx, func(db *database) error {
		return s.inTurn(ctx, db, func() error {
			return patiently(ctx, s.closing, func() error { return empty(ctx, db.writer) })
		})
	})
	switch {
	case err == nil:
		s.resets.Add(1)
		s.tell(r.reason)
	case damaged(err) && s.abandon() && s.reopen() == nil:
		s.resets.Add(1)
		s.tell(r.reason)
	}
}

// abandon closes the file and removes it. It reports whether that was done.
func (s *Store) abandon() bool {
	// The lock is held until the file is gone, so that no call opens it in between.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || !s.db.current() {
		return false // another process was faster
	}
	s.db.close()
	s.db = nil
	return remove(s.path) == nil
}
