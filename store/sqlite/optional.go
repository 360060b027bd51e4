package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/plyhttp/ply/store"
)

// Range calls f with each key and record of a kind until f returns false, in the order in which they came.
// It reads one record at a time, and holds no lock and no transaction while f runs.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	for last := int64(0); ; {
		batch, err := s.batch(ctx, kind, last)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, b := range batch {
			last = b.id
			r, err := s.peek(ctx, b.key)
			if err != nil {
				return err
			}
			if r.Version != "" && r.Kind == kind && !f(b.key, r) {
				return nil
			}
		}
	}
}

// batch returns the next keys of a kind after the row last.
func (s *Store) batch(ctx context.Context, kind store.Kind, last int64) (batch []found, err error) {
	err = s.use(ctx, "range", func(db *database) error {
		return s.read(ctx, db, func(c *conn) (err error) {
			batch, err = c.list(ctx, "SELECT id, key FROM records WHERE id > ?1 AND kind = ?2 ORDER BY id LIMIT 256", last, int64(kind))
			return err
		})
	})
	return batch, err
}

// peek reads a record without counting that as a use.
func (s *Store) peek(ctx context.Context, key string) (r store.Record, err error) {
	err = s.use(ctx, "range", func(db *database) error {
		return s.read(ctx, db, func(c *conn) error {
			row, err := c.first(background, getSQL, key)
			if err != nil || row == nil {
				return err
			}
			if r, err = record(key, row); errors.Is(err, errChecksum) { // Get will see to it
				r, err = store.Record{}, nil
			}
			return err
		})
	})
	return r, err
}

// Clear forgets everything that was put before. Others may read and write meanwhile: it takes many short transactions.
// If it returns an error, some of it may be gone.
func (s *Store) Clear(ctx context.Context) error {
	last := int64(-1)
	for {
		var left bool
		err := s.use(ctx, "clear", func(db *database) error {
			return s.write(ctx, db, func(tx *tx) (err error) {
				if last < 0 {
					if last, err = tx.number(background, "SELECT max(id) FROM records"); err != nil {
						return err
					}
				}
				n, err := tx.exec(background, "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE id <= ?1 ORDER BY id LIMIT 64)", last)
				left = n > 0
				return err
			})
		})
		if err != nil || !left {
			s.wake()
			return err
		}
	}
}

// DeleteExpired removes the records whose time is over at now, and returns how many there were. It gives their room back to the file system step by step.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	for total := 0; ; {
		var n int
		err := s.use(ctx, "delete expired", func(db *database) error {
			return s.write(ctx, db, func(tx *tx) (err error) {
				n, err = tx.deleteExpired(now.UnixMilli(), 0)
				return err
			})
		})
		if err != nil {
			return total, err
		}
		if total += n; n == 0 {
			s.wake()
			return total, nil
		}
	}
}

// Size returns the number of records and the bytes that they are charged with. It counts what is expired and not yet removed.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	err = s.use(ctx, "size", func(db *database) error {
		return s.read(ctx, db, func(c *conn) error {
			row, err := c.first(background, "SELECT records, bytes FROM totals")
			if err == nil && row != nil {
				records, _ = row[0].(int64)
				bytes, _ = row[1].(int64)
			}
			return err
		})
	})
	return records, bytes, err
}
