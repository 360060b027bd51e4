package postgres

import (
	"context"
	"time"

	"github.com/plyhttp/ply/store"
)

// A batch of Range has no more rows than listRows, and ends with the row by which it has listBytes.
const (
	listRows  = 256
	listBytes = 1 << 20
	clearRows = 1024
	sweepRows = 256
)

// Range implements [store.Ranger], in the order of the keys. It reads some records at a time; no transaction is open while f runs.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	type listed struct {
		key    string
		record store.Record
	}
	for last := ""; ; {
		var batch []listed
		err := s.call(ctx, "range", func(ctx context.Context) error {
			batch = batch[:0]
			return s.each(ctx, func(key string, r store.Record) { batch = append(batch, listed{key, r}) },
				s.sql.list, formatKind(kind), last, int64(listRows), int64(listBytes))
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, b := range batch {
			if err := ctx.Err(); err != nil {
				return wrap("range", context.Cause(ctx))
			}
			last = b.key
			if !b.record.Expires.IsZero() && !b.record.Expires.After(time.Now()) {
				continue
			}
			if !f(b.key, b.record) {
				return nil
			}
		}
	}
}

// Clear implements [store.Clearer]: it forgets everything that was put before. It takes many short transactions, and others may read and write meanwhile.
// If it returns an error, some of it may be gone.
func (s *Store) Clear(ctx context.Context) error {
	var cut int64
	err := s.call(ctx, "clear", func(ctx context.Context) error { return s.pool.QueryRow(ctx, s.sql.cut).Scan(&cut) })
	if err != nil {
		return err // nothing has been forgotten yet
	}
	for last := ""; err == nil; {
		size, since := int64(0), s.room.now()
		err = s.call(ctx, "clear", func(ctx context.Context) error {
			return s.pool.QueryRow(ctx, s.sql.clear, last, cut, int64(clearRows)).Scan(&last, &size)
		})
		s.room.freed(size, since)
		if last == "" {
			break
		}
	}
	s.announceAll()
	return err
}

// DeleteExpired implements [store.Expirer], in short transactions.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	for total := 0; ; {
		n := 0
		err := s.call(ctx, "delete expired", func(ctx context.Context) (err error) {
			n, err = s.remove(ctx, s.pool, s.sql.expired, now, int64(sweepRows))
			return err
		})
		if total += n; err != nil || n == 0 {
			return total, err
		}
	}
}

// Size implements [store.Sizer]: the number of records and the bytes that they are charged with. It counts what has expired and is not yet removed.
// It goes through the table, without the bodies.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	err = s.call(ctx, "size", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, s.sql.size).Scan(&records, &bytes)
	})
	return records, bytes, err
}
