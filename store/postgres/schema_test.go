//go:build unix

package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

// Whatever the schema is called, its table is made there and nowhere else.
func TestSchemaNamesAreQuoted(t *testing.T) {
	srv := server.Shared(t)
	c := raw(t, srv.URL())
	for _, name := range []string{`it's "quoted"`, `a.b;--`, `Grüße 日本`, `{schema}`, `RECORDS`, strings.Repeat("x", 59)} {
		t.Run(name, func(t *testing.T) {
			s, other := open(t, srv.URL(), postgres.Options{Schema: name}), open(t, srv.URL(), postgres.Options{Schema: name})
			n := listen(t, other)
			require.Equal(t, "v", string(put(t, s, "k", "v").Data))
			n.waitFor(t, "k")
			require.NoError(t, s.Range(t.Context(), store.KindEntry, func(string, store.Record) bool { return true }))
			require.NoError(t, s.Clear(t.Context()))
			if tables := value[int](t, c, "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'records'", name); tables != 1 {
				t.Errorf("%d tables in the schema, want 1", tables)
			}
			exec(t, c, "DROP SCHEMA "+pgx.Identifier{name}.Sanitize()+" CASCADE")
		})
	}
}

// Many stores that find nothing make one table, and none of them fails.
func TestStoresThatBeginAtOnceMakeOneTable(t *testing.T) {
	srv := server.Shared(t)
	for range 3 {
		schema := newSchema()
		var all sync.WaitGroup
		for range 8 {
			s := open(t, srv.URL(), postgres.Options{Schema: schema, Connections: 2})
			all.Go(func() {
				if err := s.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// What is there under the table's name and is not this package's is left alone, and the error says what to do.
func TestTableOfAnotherIsRefused(t *testing.T) {
	srv := server.Shared(t)
	c := raw(t, srv.URL())
	for name, tt := range map[string]struct {
		sql  string
		want string
	}{
		"another table":      {`CREATE TABLE S.records (id int)`, "is none of ply's tables"},
		"a view":             {`CREATE VIEW S.records AS SELECT 1 AS key`, "is none of ply's tables"},
		"a column more":      {`ALTER TABLE S.records ADD COLUMN extra text`, "has the columns key text, version bigint"},
		"a column less":      {`ALTER TABLE S.records DROP COLUMN url CASCADE`, "has the columns"},
		"another type":       {`DROP VIEW S.contents; DROP VIEW S.entries; ALTER TABLE S.records ALTER COLUMN size TYPE bigint`, "has the columns"},
		"an older format":    {`COMMENT ON TABLE S.records IS 'ply store, format 0: x'`, "has format 0"},
		"no comment":         {`COMMENT ON TABLE S.records IS NULL`, "is none of ply's tables"},
		"an unclear comment": {`COMMENT ON TABLE S.records IS 'ply store, format x'`, "is none of ply's tables"},
		"a newer format":     {`COMMENT ON TABLE S.records IS 'ply store, format 2: x'`, "a later version of this package has made the table"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := newSchema()
			quoted := pgx.Identifier{schema}.Sanitize()
			if strings.HasPrefix(tt.sql, "CREATE") {
				exec(t, c, "CREATE SCHEMA "+quoted)
			} else {
				put(t, open(t, srv.URL(), postgres.Options{Schema: schema}), "k", "v")
			}
			for sql := range strings.SplitSeq(strings.ReplaceAll(tt.sql, "S.", quoted+"."), ";") {
				exec(t, c, sql)
			}
			s := open(t, srv.URL(), postgres.Options{Schema: schema})
			_, err := s.Get(t.Context(), "k")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Get: %v, want an error with %q", err, tt.want)
			}
			if newer := strings.Contains(name, "newer"); newer != errors.Is(err, postgres.ErrNewer) {
				t.Errorf("Get: %v, ErrNewer is wanted: %v", err, newer)
			}
			if err := s.Put(t.Context(), "k", store.Record{Data: []byte("x")}); err == nil {
				t.Error("Put works")
			}
			if err := s.Clear(t.Context()); err == nil {
				t.Error("Clear works")
			}
		})
	}
}

// A role that may not make the table is told so. With what SQL returns, run by an administrator, and the grants that its documentation names, it works.
func TestMissingPermissionsAreNamed(t *testing.T) {
	srv := server.Shared(t)
	c := raw(t, srv.URL())
	exec(t, c, "CREATE ROLE app LOGIN")
	url := strings.Replace(srv.URL(), "postgres@", "app@", 1)
	const schema = "granted"
	s := open(t, url, postgres.Options{Schema: schema})
	_, err := s.Get(t.Context(), "k")
	if err == nil || !strings.Contains(err.Error(), "have an administrator run what SQL of this package returns") {
		t.Errorf("Get: %v, want an error that says what to do", err)
	}
	sql, err := postgres.SQL(postgres.Options{Schema: schema, Logged: true})
	require.NoError(t, err)
	exec(t, c, "SELECT 1")
	require.NoError(t, c.PgConn().Exec(t.Context(), sql).Close())
	s = open(t, url, postgres.Options{Schema: schema})
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("v")}); err == nil || !strings.Contains(err.Error(), "42501") || !strings.Contains(err.Error(), "SQL of this package grants") {
		t.Errorf("Put without grants: %v, want an error that says what is missing", err)
	}
	for _, grant := range []string{"GRANT USAGE ON SCHEMA granted TO app", "GRANT SELECT, INSERT, UPDATE, DELETE ON granted.records TO app", "GRANT USAGE ON SEQUENCE granted.versions TO app"} {
		exec(t, c, grant)
	}
	n := listen(t, s)
	put(t, open(t, url, postgres.Options{Schema: schema}), "k", "v")
	n.waitFor(t, "k")
	require.NoError(t, s.Clear(t.Context()))
}

// A table that is dropped while it is in use is made again by the next call, which finds nothing and does not fail.
func TestDroppedTableIsMadeAgainByTheNextCall(t *testing.T) {
	srv := server.Shared(t)
	c, schema, ctx := raw(t, srv.URL()), newSchema(), t.Context()
	s := open(t, srv.URL(), postgres.Options{Schema: schema})
	for _, drop := range []string{`DROP SCHEMA "S" CASCADE`, `DROP TABLE "S".records CASCADE; DROP SEQUENCE "S".versions`, `DROP TABLE "S".records CASCADE`} {
		for name, call := range map[string]func() error{
			"Get": func() error {
				r, err := s.Get(ctx, "k")
				require.Zero(t, r, "Get returns what was dropped")
				return err
			},
			"GetMulti": func() error {
				records, err := s.GetMulti(ctx, []string{"k", "l"})
				require.Equal(t, make([]store.Record, 2), records)
				return err
			},
			"Put":           func() error { return s.Put(ctx, "k", store.Record{Data: []byte("x")}) },
			"Delete":        func() error { return s.Delete(ctx, "k", "") },
			"Range":         func() error { return s.Range(ctx, store.KindEntry, func(string, store.Record) bool { return false }) },
			"Clear":         func() error { return s.Clear(ctx) },
			"DeleteExpired": func() error { _, err := s.DeleteExpired(ctx, time.Now()); return err },
			"Size":          func() error { _, _, err := s.Size(ctx); return err },
		} {
			old := put(t, s, "k", "v")
			require.NoError(t, c.PgConn().Exec(ctx, strings.ReplaceAll(drop, `"S"`, pgx.Identifier{schema}.Sanitize())).Close())
			require.NoError(t, call(), "%s after %s", name, drop)
			require.NotEqual(t, old.Version, put(t, s, "k", "again").Version)
		}
	}
}

func TestPeopleCanReadTheTable(t *testing.T) {
	srv := server.Shared(t)
	c, schema, ctx := raw(t, srv.URL()), newSchema(), t.Context()
	s := open(t, srv.URL(), postgres.Options{Schema: schema})
	expires := time.Now().Add(time.Hour)
	require.NoError(t, s.Put(ctx, "e", store.Record{Data: []byte("entry"), Kind: store.KindEntry, Label: "GET https://example.com/\r\x00\u009b\u202e\xff", Expires: expires}))
	require.NoError(t, s.Put(ctx, "b", store.Record{Data: []byte("body"), Kind: store.KindBody, Owner: "e"}))
	require.NoError(t, s.Put(ctx, "x", store.Record{Data: []byte("?"), Kind: 77, Expires: time.Now().Add(-time.Hour)}))
	quoted := pgx.Identifier{schema}.Sanitize()
	rows, err := c.Query(ctx, "SELECT concat_ws(' ', kind, records, expired) FROM "+quoted+".contents ORDER BY kind")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	if diff := cmp.Diff([]string{"77 1 1", "body 1 0", "entry 1 0"}, got); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	entry := value[string](t, c, "SELECT concat_ws(' ', url, pieces, expires_at = $1) FROM "+quoted+".entries", expires.Truncate(time.Millisecond))
	if want := "GET https://example.com/????? 1 t"; entry != want {
		t.Errorf("entries: %q, want %q", entry, want)
	}
	if got := value[string](t, c, "SELECT relpersistence::text FROM pg_class WHERE oid = $1::regclass", quoted+".records"); got != "u" {
		t.Errorf("the table is %q, want unlogged", got)
	}
	logged := open(t, srv.URL(), postgres.Options{Schema: schema + "-logged", Logged: true})
	put(t, logged, "k", "v")
	if got := value[string](t, c, "SELECT relpersistence::text FROM pg_class WHERE oid = $1::regclass", `"`+schema+`-logged".records`); got != "p" {
		t.Errorf("the logged table is %q, want permanent", got)
	}
}
