package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schemaSQL string

// format is the version of the table, which its comment says.
const (
	format       = 1
	formatPrefix = "ply store, format "
)

// tableColumns are the names and types of the columns in schema.sql, in their order. What a later column means is not known, so there may be none.
var tableColumns = []string{"key text", "version bigint", "kind text", "owner text", "url text", "size integer",
	"stored_at timestamp with time zone", "used_at timestamp with time zone", "expires_at timestamp with time zone", "data bytea"}

// SQL returns the statements that make the table of a store with these options, its schema included, for a database in which the program itself may not do so.
// The program's role then needs:
//
//	GRANT USAGE ON SCHEMA ply TO app;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON ply.records TO app;
//	GRANT USAGE ON SEQUENCE ply.versions TO app;
func SQL(o Options) (string, error) {
	o, err := o.checked()
	if err != nil {
		return "", err
	}
	return "CREATE SCHEMA IF NOT EXISTS " + pgx.Identifier{o.Schema}.Sanitize() + ";\n\n" + tableSQL(o), nil
}

func tableSQL(o Options) string {
	unlogged := "UNLOGGED"
	if o.Logged {
		unlogged = ""
	}
	return strings.NewReplacer(
		"{schema}", pgx.Identifier{o.Schema}.Sanitize(),
		"{literal}", literal(pgx.Identifier{o.Schema, "versions"}.Sanitize()),
		"{unlogged}", unlogged,
	).Replace(schemaSQL)
}

// lockNumber returns the number of an advisory lock. A lock is the database's, so it depends on the schema.
func lockNumber(schema, what string) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "ply store %s %s", what, schema)
	return int64(h.Sum64())
}

// refusal is why the table cannot be used, for the calls of the next moment: a fleet must not look at the catalogue with each of its calls.
type refusal struct {
	err   error
	until time.Time
}

const refusedFor = time.Second

// prepare sees to it that the table is there and ours. Of many calls at once, one looks.
func (s *Store) prepare(ctx context.Context) error {
	if s.ready.Load() {
		return nil
	}
	select {
	case <-s.setup:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.setup <- struct{}{} }()
	if s.ready.Load() {
		return nil
	}
	if s.refuse.err != nil && time.Now().Before(s.refuse.until) {
		return s.refuse.err
	}
	err := s.provide(ctx)
	s.refuse = refusal{}
	switch {
	case err == nil:
		s.ready.Store(true)
		s.room.forget()
		s.wake()
	case ctx.Err() == nil:
		s.refuse = refusal{err, time.Now().Add(refusedFor)}
	}
	return err
}

// provide recognises the table, or makes it. Of two processes that find nothing, the one that gets the lock second finds the table of the first, and looks again.
func (s *Store) provide(ctx context.Context) error {
	for last := false; ; last = true {
		schema, there, err := s.inspect(ctx)
		if there || err != nil {
			return err
		}
		err = s.furnish(ctx, schema)
		switch code(err) {
		case duplicateTable, duplicateSchema, uniqueViolation:
			if !last {
				continue
			}
		case permissionMissing:
			return fmt.Errorf("the schema %s or its table is not there, and this role may not make it: have an administrator run what SQL of this package returns: %w",
				pgx.Identifier{s.opt.Schema}.Sanitize(), err)
		}
		return err
	}
}

// inspect reports whether the schema and the table are there. It is an error if the table is not ours.
func (s *Store) inspect(ctx context.Context) (schema, there bool, err error) {
	var kind *string
	var comment string
	if err := s.pool.QueryRow(ctx, s.sql.inspect, s.opt.Schema).Scan(&schema, &kind, &comment); err != nil || kind == nil {
		return schema, false, err
	}
	table := pgx.Identifier{s.opt.Schema, "records"}.Sanitize()
	number, _, _ := strings.Cut(strings.TrimPrefix(comment, formatPrefix), ":")
	n, err := strconv.Atoi(number)
	switch ours := strings.HasPrefix(comment, formatPrefix) && err == nil; {
	case ours && n > format:
		return true, true, ErrNewer
	case !ours || *kind != "r" && *kind != "p":
		return true, true, fmt.Errorf("%s is none of ply's tables, and is left alone: name another schema in Options.Schema, or drop it", table)
	case n != format:
		return true, true, fmt.Errorf("%s has format %d, which this version does not know: drop it", table, n)
	}
	rows, _ := s.pool.Query(ctx, s.sql.columns, s.opt.Schema)
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var name, kind string
		err := row.Scan(&name, &kind)
		return name + " " + kind, err
	})
	if err == nil && !slices.Equal(columns, tableColumns) {
		err = fmt.Errorf("%s has the columns %s instead of %s: drop it, or name another schema in Options.Schema",
			table, strings.Join(columns, ", "), strings.Join(tableColumns, ", "))
	}
	return true, true, err
}

// furnish makes the table, and the schema if that is missing, in one transaction: that is what a message of several statements is.
func (s *Store) furnish(ctx context.Context, schema bool) error {
	sql := fmt.Sprintf("SELECT pg_advisory_xact_lock(%d);\n", s.locks[0])
	if !schema { // the right to make schemas is asked for even if it is there
		sql += "CREATE SCHEMA " + pgx.Identifier{s.opt.Schema}.Sanitize() + ";\n"
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return conn.Conn().PgConn().Exec(ctx, sql+tableSQL(s.opt)).Close()
}
