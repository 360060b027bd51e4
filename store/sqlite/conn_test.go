package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

func mustConnect(t *testing.T) *conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	db, _, err := openDatabase(path, SyncNormal)
	require.NoError(t, err)
	t.Cleanup(db.close)
	return db.writer
}

// What is bound comes back as it was.
func TestValuesComeBackFromAStatement(t *testing.T) {
	c := mustConnect(t)
	values := []any{nil, int64(-1 << 63), int64(7), "", "ä\x00b", strings.Repeat("long ", 1<<16), []byte{}, []byte("\x00\xff"), make([]byte, 1<<20)}
	for range 2 { // the statement is used again
		for _, v := range values {
			row, err := c.first(background, "SELECT ?1, typeof(?1), 0.5", v)
			require.NoError(t, err)
			kind := map[bool]string{true: "null"}[v == nil]
			switch v.(type) {
			case int64:
				kind = "integer"
			case string:
				kind = "text"
			case []byte:
				kind = "blob"
			}
			if want := []driver.Value{v, kind, 0.5}; !reflect.DeepEqual(want, row) { // cmp looks at each byte of a MiB by itself
				t.Errorf("%.20v comes back as %.20v", want, row)
			}
		}
	}
	if _, err := c.exec(background, "SELECT ?1", struct{}{}); err == nil || code(err) != 0 {
		t.Errorf("an argument of a strange type: %v", err)
	}
}

// A statement that fails says why, and can be used again.
func TestFailedStatementSaysWhyAndCanBeUsedAgain(t *testing.T) {
	c := mustConnect(t)
	const insert = "INSERT INTO data (id, bytes) VALUES (?1, ?2)"
	n, err := c.exec(background, insert, int64(1), []byte("x"))
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := c.exec(background, insert, int64(1), []byte("x")); code(err) != 19 || err.Error() != "constraint failed: UNIQUE constraint failed: data.id (1555)" {
		t.Errorf("a second time: %v, code %d", err, code(err))
	}
	if _, err := c.exec(background, insert, int64(2), []byte("x")); err != nil {
		t.Error(err)
	}
	if err := c.script("SELECT 1; NONSENSE"); code(err) != codeError || !strings.Contains(err.Error(), "NONSENSE") {
		t.Errorf("a script: %v", err)
	}
	if _, err := c.number(background, "SELECT nothing"); code(err) != codeError {
		t.Errorf("a statement: %v", err)
	}
}

// A statement ends with its context, also if that ends before it has begun, and the next one is not interrupted.
func TestStatementEndsWithItsContext(t *testing.T) {
	c := mustConnect(t)
	const endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
	for _, patience := range []time.Duration{0, time.Microsecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := c.number(ctx, endless); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", patience, err)
		}
		cancel()
		if n, err := c.number(t.Context(), "SELECT 42"); n != 42 || err != nil {
			t.Errorf("the next statement: %d, %v", n, err)
		}
	}
}

// One call reads any number of records, whatever their keys, at one moment.
func TestGetMultiReadsManyRecordsOfOneMoment(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "cache.db"), Options{})
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()
	var keys []string
	for i := range 3*maxLookups + 1 {
		key := "k" + strings.Repeat("x", i)
		keys = append(keys, key, "absent", "not a key", strings.Repeat("long", 100), "")
		require.NoError(t, s.Put(ctx, key, store.Record{Data: []byte(key), Kind: store.KindEntry}))
	}
	for range 2 {
		records, err := s.GetMulti(ctx, keys)
		require.NoError(t, err)
		require.Len(t, records, len(keys))
		for i, r := range records {
			if want := map[bool]string{true: keys[i]}[i%5 == 0]; string(r.Data) != want || (r.Version != "") != (want != "") {
				t.Errorf("%d, %.20q: %q", i, keys[i], r.Data)
			}
		}
	}
	if records, err := s.GetMulti(ctx, nil); len(records) != 0 || err != nil {
		t.Errorf("of no keys: %d, %v", len(records), err)
	}
	// No transaction is left open: it would keep the log from being emptied.
	err = s.inTurn(ctx, s.db, func() error { // the keeper writes with this connection, too
		row, err := s.db.writer.first(background, "PRAGMA wal_checkpoint(TRUNCATE)")
		if err == nil && row[0] != driver.Value(int64(0)) {
			err = fmt.Errorf("the log could not be emptied: %v", row)
		}
		return err
	})
	require.NoError(t, err)
}

func TestAllocationsOfAGet(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "cache.db"), Options{})
	require.NoError(t, err)
	defer s.Close()
	ctx := context.Background()
	for _, key := range []string{"a", "b"} {
		require.NoError(t, s.Put(ctx, key, store.Record{Data: make([]byte, 1<<10)}))
	}
	keys := []string{"a", "b"}
	// The least of several: the store's keepers work in the background, and what that allocates is counted, too.
	least := math.Inf(1)
	for range 20 {
		least = min(least, testing.AllocsPerRun(20, func() {
			if records, err := s.GetMulti(ctx, keys); err != nil || records[1].Version == "" {
				t.Error(err)
			}
		}))
	}
	if least > 12 {
		t.Errorf("two records: %v allocations", least)
	}
}
