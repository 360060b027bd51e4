package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"
	"time"

	"github.com/plyhttp/ply/store"
)

// Range calls f with each key and record of a kind until f returns false, in the order in which they came.
// It reads some records at a time, and holds no lock and no transaction while f runs.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	for last := int64(0); ; {
		batch, err := s.batch(ctx, kind, last)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, b := range batch {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			last = b.id
			if b.record.Version != "" && b.record.Kind == kind && !f(b.key, b.record) {
				return nil
			}
		}
	}
}

// listed is a row of the list. Its record is the zero Record if it is expired, or damaged.
type listed struct {
	found
	record store.Record
}

// A batch has no more rows than batchRows, and ends with the row by which it has batchBytes.
const (
	batchRows  = 256
	batchBytes = 1 << 20
)

const listSQL = `SELECT r.id, r.key, r.kind, r.owner, r.url, r.expires_at, r.version, r.checksum, d.bytes
	FROM records r LEFT JOIN data d ON d.id = r.id WHERE r.id > ?1 AND r.kind = ?2 ORDER BY r.id LIMIT ?3`

// batch returns the next rows of a kind after the row last. That is no use of them.
func (s *Store) batch(ctx context.Context, kind store.Kind, last int64) (batch []listed, err error) {
	err = s.use(ctx, "range", func(db *database) error {
		return s.read(ctx, db, func(c *conn) (err error) {
			batch, err = c.listed(last, kind)
			return err
		})
	})
	return batch, err
}

func (c *conn) listed(last int64, kind store.Kind) (batch []listed, err error) {
	bytes := 0
	err = c.each(background, listSQL, func(row []driver.Value) bool {
		id, _ := row[0].(int64)
		key, _ := row[1].(string)
		r, err := record(key, row[2:])
		if err != nil {
			r = store.Record{} // Get will see to it
		}
		batch = append(batch, listed{found{id, key}, r})
		bytes += len(r.Data)
		return bytes < batchBytes
	}, last, int64(kind), int64(batchRows))
	return batch, err
}

// clearSQL forgets everything. A DELETE of all rows of a table without triggers gives its pages back as they are, and those of its indexes, and looks at no row:
// so the trigger is taken away meanwhile. Nothing outside of the transaction sees the file without it.
var clearSQL = "DROP TRIGGER IF EXISTS record_removed; DELETE FROM records; DELETE FROM data; DELETE FROM doomed; UPDATE totals SET records = 0, bytes = 0;" + statement("CREATE TRIGGER record_removed", "END;")

// statement returns the statement of the schema that begins and ends so, as it stands there: the text is compared when the file is opened.
func statement(begin, end string) string {
	_, rest, _ := strings.Cut(schemaSQL, begin)
	text, _, _ := strings.Cut(rest, end)
	return begin + text + end
}

// Clear forgets everything, in one transaction. Others may read meanwhile.
func (s *Store) Clear(ctx context.Context) error {
	err := s.use(ctx, "clear", func(db *database) error {
		return s.write(ctx, db, func(tx *tx) error { return tx.script(clearSQL) })
	})
	s.wake()
	return err
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
