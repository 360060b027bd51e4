package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// Table is a store in a table of an SQL database:
// CREATE TABLE cache (k TEXT PRIMARY KEY, data BLOB, version TEXT, ends INTEGER, kind INTEGER, owner TEXT)
type Table struct{ DB *sql.DB }

func (t Table) Get(ctx context.Context, key string) (store.Record, error) {
	var r store.Record
	var ends int64
	row := t.DB.QueryRowContext(ctx, `SELECT data, version, ends, kind, owner FROM cache
		WHERE k = ? AND ends > ?`, key, time.Now().UnixMilli())
	err := row.Scan(&r.Data, &r.Version, &ends, &r.Kind, &r.Owner)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Record{}, nil // what is absent is no error
	}
	if ends != math.MaxInt64 {
		r.Expires = time.UnixMilli(ends)
	}
	return r, err
}

func (t Table) Put(ctx context.Context, key string, r store.Record) error {
	if len(r.Data) > 2<<20 {
		return store.ErrTooLarge // before anything is changed
	}
	now, ends, version := time.Now().UnixMilli(), int64(math.MaxInt64), rand.Text()
	if !r.Expires.IsZero() {
		ends = r.Expires.UnixMilli()
	}
	if r.Version == "" { // create, or replace what has expired
		return swapped(t.DB.ExecContext(ctx, `INSERT INTO cache (data, version, ends, kind, owner, k)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (k) DO UPDATE SET data = excluded.data,
			version = excluded.version, ends = excluded.ends, kind = excluded.kind, owner = excluded.owner
			WHERE cache.ends <= ?`, r.Data, version, ends, r.Kind, r.Owner, key, now))
	}
	return swapped(t.DB.ExecContext(ctx, `UPDATE cache SET data = ?, version = ?, ends = ?, kind = ?, owner = ?
		WHERE k = ? AND version = ? AND ends > ?`, r.Data, version, ends, r.Kind, r.Owner, key, r.Version, now))
}

func (t Table) Delete(ctx context.Context, key, version string) error {
	err := swapped(t.DB.ExecContext(ctx, `DELETE FROM cache WHERE k = ? AND ? IN (version, '')`, key, version))
	if errors.Is(err, store.ErrConflict) {
		if there, failed := t.Get(ctx, key); failed != nil || there.Version == "" {
			return failed // nothing was there
		}
	}
	return err
}

// swapped says ErrConflict of a statement that found no row with the version that it was to change.
func swapped(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	if rows, err := done.RowsAffected(); err != nil || rows > 0 {
		return err
	}
	return store.ErrConflict
}

// The store that docs/stores.md shows keeps the contract.
func TestTableKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		db := raw(t, file(t))
		_, err := db.Exec(`PRAGMA synchronous = OFF; CREATE TABLE cache (k TEXT PRIMARY KEY, data BLOB, version TEXT, ends INTEGER, kind INTEGER, owner TEXT)`)
		require.NoError(t, err)
		return Table{db}
	})
}

func TestGuideShowsTheStoreThatIsTested(t *testing.T) {
	guide, err := os.ReadFile("../../docs/stores.md")
	require.NoError(t, err)
	code, err := os.ReadFile("own_store_test.go")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(guide), "```go\nimport \"crypto/rand\"\n\n")
	block, _, found := strings.Cut(block, "```")
	if !found || !strings.Contains(string(code), block) {
		t.Errorf("docs/stores.md shows another Table than own_store_test.go has:\n%s", block)
	}
}
