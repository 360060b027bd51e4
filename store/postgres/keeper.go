package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	keepEvery   = 10 * time.Second // give or take a fifth, so that a fleet does not come at once
	writeEvery  = time.Minute      // uses, and no row more often
	sweepFor    = 5 * time.Second  // of a round
	orphanRows  = 1024             // parts that are looked at in one step
	orphanSteps = 8                // of a round
	thinSteps   = 4                // of a transaction, in which what was chosen is locked
	thinAge     = 2 * time.Second  // what was used later is left to the Put that needs the room
)

// wake makes the keeper look for work now. The channel holds one such wish, so that it never blocks, and none is lost while the keeper works.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// keep runs the maintenance that no call waits for. It is one goroutine, started with the store, and ends when that is closed.
// Before the first call it does nothing: a store that is not used does not connect.
func (s *Store) keep() {
	var last orphan
	written := time.Now()
	pause := time.NewTimer(keepEvery)
	defer pause.Stop()
	for {
		swept := false
		select {
		case <-s.ctx.Done():
			s.lastUses()
			return
		case <-s.kick:
		case <-pause.C:
			swept = true
			pause.Reset(keepEvery*4/5 + rand.N(keepEvery*2/5))
		}
		if !s.ready.Load() {
			continue
		}
		err := s.tidy()
		if err == nil && swept {
			last, err = s.sweep(last)
		}
		if err == nil && time.Since(written) > writeEvery {
			written = time.Now()
			err = s.writeUses(s.ctx, writeEvery)
		}
		if s.ctx.Err() == nil {
			s.trouble.report("maintenance", err)
		}
	}
}

// tidy does what was asked for: it removes the parts of records that are gone, and makes room before a Put has to.
func (s *Store) tidy() error {
	for {
		owners, versions := s.doomed.take(evictRows)
		if len(owners) == 0 {
			break
		}
		n := 0
		err := s.try(s.ctx, func(ctx context.Context) (err error) {
			n, err = s.remove(ctx, s.pool, s.sql.doom, owners, versions, int64(partRows))
			return err
		})
		if err != nil || n == partRows {
			for i := range owners {
				s.doomed.add(owners[i], versions[i])
			}
		}
		if err != nil {
			return err
		}
	}
	if s.room.due() {
		if err := s.try(s.ctx, func(ctx context.Context) error { return s.measure(ctx, s.pool) }); err != nil {
			return err
		}
	}
	return s.thin()
}

// measure counts what the table holds.
func (s *Store) measure(ctx context.Context, q querier) error {
	var bytes int64
	var saw snapshot
	from := s.room.begin()
	rows, err := q.Query(ctx, s.sql.measure)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&bytes, &saw.next, &saw.running}, func() error { return nil })
	}
	s.room.end(bytes, saw, from, err)
	return err
}

// thin makes room in a store that is nearly full, so that a Put need not. One process at a time does it, and measures before each step.
func (s *Store) thin() error {
	for began := time.Now(); s.room.crowded() && time.Since(began) < sweepFor; {
		err := s.try(s.ctx, s.thinStep)
		if errors.Is(err, errBusy) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errBusy says that another process is at it, or that there is nothing to do.
var errBusy = errors.New("nothing to do")

// thinStep is one transaction, and holds the lock of those who sweep.
func (s *Store) thinStep(ctx context.Context) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // does nothing after the commit
	alone := false
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1::bigint)", s.locks[1]).Scan(&alone); err != nil {
		return err
	}
	if !alone {
		return errBusy
	}
	if err := s.measure(ctx, tx); err != nil {
		return err
	}
	need := s.room.over() + s.room.most/8
	if need <= s.room.most/16 {
		return errBusy
	}
	all := make([]gone, 0, thinSteps)
	for need > 0 && len(all) < thinSteps {
		g, err := s.evict(ctx, tx, need, candidates{sql: s.sql.oldest, before: time.Now().Add(-thinAge)})
		if err != nil {
			return err
		}
		if !g.found {
			break
		}
		all, need = append(all, g), need-g.bytes
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	for _, g := range all {
		s.evicted(g)
	}
	if need > 0 && len(all) < thinSteps {
		return errBusy // nothing is old enough
	}
	return nil
}

// orphan is a part, up to which those were looked at in one round.
type orphan struct{ owner, key string }

// sweep removes what has expired, and parts whose owner never came, in short transactions. Of the processes that share the table, one at a time does.
// What is left when the time of the round is over comes in the next.
func (s *Store) sweep(last orphan) (orphan, error) {
	began := time.Now()
	for time.Since(began) < sweepFor {
		n := 0
		err := s.try(s.ctx, func(ctx context.Context) (err error) {
			n, err = s.remove(ctx, s.pool, s.sql.expiredAlone, time.Now(), int64(sweepRows), s.locks[1])
			return err
		})
		if err != nil {
			return last, err
		}
		if n < sweepRows {
			break
		}
	}
	for range orphanSteps {
		var next orphan
		freed, since := int64(0), s.room.now()
		err := s.try(s.ctx, func(ctx context.Context) error {
			return s.pool.QueryRow(ctx, s.sql.orphans, last.owner, last.key, time.Now().Add(-s.opt.OrphanAge), int64(orphanRows), s.locks[1]).Scan(&next.owner, &next.key, &freed)
		})
		if err != nil {
			return last, err
		}
		s.room.freed(freed, since)
		if last = next; next == (orphan{}) { // the end, or another process is at it: from the beginning the next time
			break
		}
	}
	return last, nil
}

// writeUses writes down what this process has used.
func (s *Store) writeUses(ctx context.Context, least time.Duration) error {
	used := s.uses.takeAll()
	if len(used) == 0 {
		return nil
	}
	return s.try(ctx, func(ctx context.Context) error { return s.touch(ctx, s.pool, used, least) })
}

// lastUses does it at the end of the store, for a second at most.
func (s *Store) lastUses() {
	if !s.ready.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Second)
	defer cancel()
	_ = s.writeUses(ctx, writeEvery) // a cache that cannot say what it has used evicts a little worse
}
