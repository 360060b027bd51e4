package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("postgres", key); err != nil {
		return store.Record{}, err
	}
	var r store.Record
	err := s.call(ctx, "get", func(ctx context.Context) error {
		var found string
		var err error
		found, r, err = scan(s.pool.QueryRow(ctx, s.sql.get, key, time.Now()))
		if errors.Is(err, pgx.ErrNoRows) || err == nil && found != key {
			r, err = store.Record{}, nil
		}
		return err
	})
	if err != nil {
		return store.Record{}, err
	}
	s.used(key, r)
	return r, nil
}

// GetMulti implements [store.MultiGetter], with one query.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	if len(keys) == 0 {
		return records, nil
	}
	for _, key := range keys {
		if err := storetext.CheckKey("postgres", key); err != nil {
			return nil, err
		}
	}
	var found map[string]store.Record
	err := s.call(ctx, "get", func(ctx context.Context) error {
		found = make(map[string]store.Record, len(keys))
		return s.each(ctx, func(key string, r store.Record) { found[key] = r }, s.sql.getMulti, keys, time.Now())
	})
	if err != nil {
		return nil, err
	}
	shown := make(map[string]bool, len(keys))
	for i, key := range keys {
		r := found[key]
		if shown[key] {
			r.Data = append([]byte(nil), r.Data...) // each record is the caller's own
		}
		shown[key] = true
		records[i] = r
		s.used(key, r)
	}
	return records, nil
}

// used notes that a record was read. The parts are as old as their owner.
func (s *Store) used(key string, r store.Record) {
	if r.Version != "" && r.Owner == "" {
		s.uses.add(key)
	}
}

// each calls f with the records that a query finds.
func (s *Store) each(ctx context.Context, f func(key string, r store.Record), sql string, args ...any) error {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		key, r, err := scan(rows)
		if err != nil {
			return err
		}
		f(key, r)
	}
	return rows.Err()
}

// scan reads a row with a record. The data is a copy.
func scan(row pgx.Row) (key string, r store.Record, err error) {
	var version int64
	var kind string
	var expires *time.Time
	if err := row.Scan(&key, &version, &kind, &r.Owner, &expires, &r.Data); err != nil {
		return "", store.Record{}, err
	}
	if expires != nil {
		r.Expires = *expires
	}
	r.Version, r.Kind = formatVersion(version), parseKind(kind)
	return key, r, nil
}

// Put implements [store.Store]. It makes room first, if it must.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("postgres", key); err != nil {
		return err
	}
	if r.Owner != "" && !storetext.ValidKey(r.Owner) {
		return fmt.Errorf("postgres: the owner %.140q is not a key", r.Owner)
	}
	if len(r.Data) == 0 {
		return errors.New("postgres: a record has at least one byte")
	}
	size := charge(key, r)
	if size > s.opt.MaxBytes || len(r.Data) > maxRecord {
		return store.ErrTooLarge
	}
	replaced, ok := parseVersion(r.Version)
	if !ok {
		return store.ErrConflict // no version of this store
	}
	over, old, tx := s.room.reserve(size), int64(0), int64(0)
	asked := false
	err := s.call(ctx, "put", func(ctx context.Context) error {
		if over > 0 {
			if err := s.makeRoom(ctx, key, r.Owner); err != nil {
				return err
			}
			over = 0
		}
		sql, args := s.sql.create, []any{key, formatKind(r.Kind), r.Owner, storetext.Label(r.Label, maxLabel), int32(size), s.uses.now(), expiry(r.Expires), r.Data, time.Now()}
		if r.Version != "" {
			sql, args = s.sql.replace, append(args, replaced)
		}
		asked = true
		return conflict(s.pool.QueryRow(ctx, sql, args...).Scan(&old, &tx))
	})
	if err != nil {
		s.room.unwritten(size)
		if asked && inDoubt(err) {
			s.announceKey(key)
		}
		return err
	}
	s.room.written(size, old, tx)
	s.announceKey(key)
	if s.room.crowded() {
		s.wake()
	}
	return nil
}

// conflict returns ErrConflict for a change that found no row to make it to. Where transactions are serializable,
// the server itself refuses a change to what another has changed meanwhile.
func conflict(err error) error {
	if errors.Is(err, pgx.ErrNoRows) || code(err) == serialization {
		return store.ErrConflict
	}
	return err
}

// Delete implements [store.Store]. The parts of the record are removed later.
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("postgres", key); err != nil {
		return err
	}
	number, ok := parseVersion(version)
	if !ok {
		number = -1 // no version of this store: it can only be in the way of what is there
	}
	var size, gone, since int64
	var kind string
	asked := false
	err := s.call(ctx, "delete", func(ctx context.Context) error {
		sql, args := s.sql.removeAny, []any{key}
		if version != "" {
			sql, args = s.sql.remove, []any{key, time.Now(), number}
		}
		other := false
		since, asked = s.room.now(), true
		err := s.pool.QueryRow(ctx, sql, args...).Scan(&size, &gone, &kind, &other)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case other:
			return store.ErrConflict
		}
		return conflict(err)
	})
	if asked && inDoubt(err) {
		s.announceKey(key)
	}
	if err != nil || gone == 0 {
		return err
	}
	s.room.freed(size, since)
	s.announceKey(key)
	if parseKind(kind) == store.KindEntry {
		s.doomed.add(key, gone)
		s.wake()
	}
	return nil
}

// Versions are numbers in base 36.
func formatVersion(n int64) string { return strconv.FormatInt(n, 36) }

// parseVersion returns 0 for "", and reports whether v can be a version.
func parseVersion(v string) (int64, bool) {
	if v == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(v, 36, 64)
	return n, err == nil && n > 0 && formatVersion(n) == v
}

// Kinds are in the table as words, and those that have none as numbers.
func formatKind(k store.Kind) string {
	if k >= store.KindEntry && k <= store.KindSetup {
		return k.String()
	}
	return strconv.Itoa(int(k))
}

func parseKind(s string) store.Kind {
	for k := store.KindEntry; k <= store.KindSetup; k++ {
		if k.String() == s {
			return k
		}
	}
	n, _ := strconv.ParseUint(s, 10, 8)
	return store.Kind(n)
}

// expiry returns what the column holds: milliseconds, within what PostgreSQL can keep.
func expiry(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = time.UnixMilli(min(max(t.UnixMilli(), 0), lastMilli))
	return &t
}

const lastMilli = 253402300799000 // the end of the year 9999

// maxLabel bounds what is kept of a label.
const maxLabel = 1 << 10
