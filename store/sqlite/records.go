package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// background is the context of statements that are over within microseconds: watching a context costs more than they do.
var background = context.Background()

const getSQL = `SELECT r.kind, r.owner, r.url, r.expires_at, r.version, r.checksum, d.bytes
	FROM records r LEFT JOIN data d ON d.id = r.id WHERE r.key = ?1`

// errChecksum is why a record that is there is not returned.
var errChecksum = errors.New("a record does not match its checksum")

// record makes a record of a row of getSQL: none if it has expired, errChecksum if it is not what was written under key.
func record(key string, row []driver.Value) (store.Record, error) {
	var expires *int64
	if ms, ok := row[3].(int64); ok {
		expires = &ms
	}
	kind, _ := row[0].(int64)
	owner, _ := row[1].(string)
	label, _ := row[2].(string)
	version, _ := row[4].(int64)
	sum, _ := row[5].(int64)
	data, ok := row[6].([]byte)
	r := store.Record{Data: data, Kind: store.Kind(kind), Owner: owner, Label: label}
	if !ok || sum != checksum(key, version, expires, r) {
		return store.Record{}, errChecksum
	}
	if expires != nil {
		if *expires <= time.Now().UnixMilli() {
			return store.Record{}, nil
		}
		r.Expires = time.UnixMilli(*expires)
	}
	r.Version = strconv.FormatInt(version, 36)
	return r, nil
}

// Put stores r under key in the place of the version that it names. It makes room first, if it must.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("sqlite", key); err != nil {
		return err
	}
	size := charge(key, r)
	if size > s.options.MaxBytes || len(r.Data) > maxRecord {
		return store.ErrTooLarge
	}
	return s.use(ctx, "put", func(db *database) error {
		return s.write(ctx, db, func(tx *tx) error { return tx.put(key, r, size) })
	})
}

// Delete removes the record under key if its version is this one; "" stands for any version. The parts that it owns are removed later.
func (s *Store) Delete(ctx context.Context, key, version string) error {
	return s.use(ctx, "delete", func(db *database) error {
		if !storetext.ValidKey(key) {
			return nil // no record has it
		}
		return s.write(ctx, db, func(tx *tx) error {
			old, err := tx.current(key)
			switch {
			case err != nil || old == nil:
				return err
			case version != "" && version != old.version && !old.expired:
				return store.ErrConflict
			}
			return tx.remove(old.id, key)
		})
	})
}

// tx is a transaction that writes.
type tx struct {
	*conn
	store *Store
	db    *database
}

// row has the fields of a record that a change needs.
type row struct {
	id      int64
	version string
	size    int64
	expired bool
}

// current returns the row under key, expired or not, or nil if there is none.
func (tx *tx) current(key string) (*row, error) {
	r, err := tx.first(background, "SELECT id, version, size, expires_at FROM records WHERE key = ?1", key)
	if err != nil || r == nil {
		return nil, err
	}
	id, _ := r[0].(int64)
	version, _ := r[1].(int64)
	size, _ := r[2].(int64)
	expires, expiring := r[3].(int64)
	return &row{id: id, version: strconv.FormatInt(version, 36), size: size, expired: expiring && expires <= time.Now().UnixMilli()}, nil
}

func (tx *tx) put(key string, r store.Record, size int64) error {
	old, err := tx.current(key)
	if err != nil {
		return err
	}
	switch present := old != nil && !old.expired; {
	case !present && r.Version != "", present && r.Version != old.version:
		return store.ErrConflict
	}
	if old == nil {
		old = &row{}
	}
	if err := tx.makeRoom(size-old.size, old.id, r.Owner); err != nil {
		return err
	}
	tx.db.wrote += size + putOverhead
	if tx.db.wrote > softLog {
		tx.db.wrote = 0
		select {
		case tx.store.written <- struct{}{}:
		default:
		}
	}
	return tx.set(old.id, key, r, size)
}

// putOverhead is what a Put writes into the log beside the record: the pages of the tables and indexes that it changes.
const putOverhead = 48 << 10

const (
	insertSQL = `INSERT INTO records (key, kind, owner, url, size, stored_at, used_at, expires_at, version, checksum)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)`
	insertDataSQL = `INSERT INTO data (id, bytes) VALUES (last_insert_rowid(), ?1)`
	updateSQL     = `UPDATE records SET kind = ?2, owner = ?3, url = ?4, size = ?5, stored_at = ?6, used_at = ?6, expires_at = ?7, version = ?8, checksum = ?9
	WHERE id = ?10 AND key = ?1`
	updateDataSQL = `INSERT INTO data (id, bytes) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes`
)

// set writes a record into the row with this id, or into a new one if that is 0.
func (tx *tx) set(id int64, key string, r store.Record, size int64) error {
	var at driver.Value
	var expires *int64
	if !r.Expires.IsZero() {
		ms := r.Expires.UnixMilli()
		at, expires = ms, &ms
	}
	version := 1 + rand.Int64N(1<<62) // never 0, and never the same one again
	args := []any{key, int64(r.Kind), r.Owner, storetext.Label(r.Label, maxLabel), size, tx.store.uses.now(), at, version, checksum(key, version, expires, r)}
	if id == 0 {
		if _, err := tx.exec(background, insertSQL, args...); err != nil {
			return err
		}
		_, err := tx.exec(background, insertDataSQL, r.Data)
		return err
	}
	if _, err := tx.exec(background, updateSQL, append(args, id)...); err != nil {
		return err
	}
	_, err := tx.exec(background, updateDataSQL, id, r.Data)
	return err
}

// maxLabel bounds what is kept of a label.
const maxLabel = 1 << 10

// remove deletes a record. If it owns others, they are doomed.
func (tx *tx) remove(id int64, key string) error {
	if _, err := tx.exec(background, "DELETE FROM records WHERE id = ?1", id); err != nil {
		return err
	}
	return tx.doom(key)
}

// removeDamaged deletes the record under key, unless another one has replaced the damaged one by now.
func (tx *tx) removeDamaged(key string) error {
	r, err := tx.first(background, getSQL, key)
	if err != nil || r == nil {
		return err
	}
	if _, err := record(key, r); !errors.Is(err, errChecksum) {
		return err
	}
	old, err := tx.current(key)
	if err != nil || old == nil {
		return err
	}
	return tx.remove(old.id, key)
}
