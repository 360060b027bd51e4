package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"path/filepath"

	driversqlite "modernc.org/sqlite"
)

// conn is one connection, and the statements that it has prepared. It is used by one goroutine at a time.
//
// It stands directly on the driver: what database/sql adds, a pool that grows and shrinks, the store must do without, because it has to know which connection writes.
type conn struct {
	raw        driver.Conn
	statements map[string]driver.Stmt
}

// pragmas are set on every connection, before it is known whose file this is: none of them writes.
//
// SQLite does not wait for locks, because the store asks again itself, for as long as the caller's context lasts (see patiently): SQLite would come to sleep 100 ms between two tries.
// Schemas are not trusted: a user who can write into the file cannot have functions called.
var pragmas = []string{
	"busy_timeout = 0",
	"wal_autocheckpoint = 0",
	"journal_size_limit = 8388608",
	"cell_size_check = ON",
	"trusted_schema = OFF",
	"temp_store = MEMORY",
	"cache_size = -2048",
}

// connect opens the database file at path, which must exist.
func connect(path string, sync Sync) (*conn, error) {
	connector, err := driversqlite.NewConnector("file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?mode=rw")
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, statements: make(map[string]driver.Stmt)}
	for _, p := range append(pragmas, "synchronous = "+sync.String()) {
		if err := c.script("PRAGMA " + p); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// close closes the connection. It is the end of any transaction.
func (c *conn) close() {
	for _, s := range c.statements {
		_ = s.Close()
	}
	_ = c.raw.Close()
}

// script runs statements that are needed once.
func (c *conn) script(sql string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

func (c *conn) statement(sql string) (driver.Stmt, error) {
	if s, ok := c.statements[sql]; ok {
		return s, nil
	}
	s, err := c.raw.Prepare(sql)
	if err == nil {
		c.statements[sql] = s
	}
	return s, err
}

// exec runs a statement and returns how many rows it changed.
//
// ctx is for those statements that may take long: it costs a goroutine, and what is over within microseconds never hears of it.
func (c *conn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	s, err := c.statement(sql)
	if err != nil {
		return 0, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, named(args))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// each calls f with every row of a query until f returns false. The row is f's for the time of the call; blobs are f's for good.
func (c *conn) each(ctx context.Context, sql string, f func(row []driver.Value) bool, args ...any) error {
	s, err := c.statement(sql)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, named(args))
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err = rows.Next(row); err != nil || !f(row) {
			break
		}
	}
	closeErr := rows.Close()
	if err == nil || err == io.EOF {
		err = closeErr
	}
	return err
}

// first returns the first row of a query, or nil if there is none.
func (c *conn) first(ctx context.Context, sql string, args ...any) (row []driver.Value, err error) {
	err = c.each(ctx, sql, func(r []driver.Value) bool {
		row = r
		return false
	}, args...)
	return row, err
}

// number returns the integer in the first column of the first row, or 0.
func (c *conn) number(ctx context.Context, sql string, args ...any) (int64, error) {
	row, err := c.first(ctx, sql, args...)
	if err != nil || row == nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return values
}

// Result codes of SQLite, without their extensions.
const (
	codeError    = 1
	codeBusy     = 5
	codeLocked   = 6
	codeCorrupt  = 11
	codeFull     = 13
	codeProtocol = 15
	codeNotADB   = 26
)

// Result codes with their extensions: the disk works, but a file is shorter than it was, or than it says. It was cut off in place.
const (
	codeShortRead = 10 | 2<<8  // of the database
	codeShmSize   = 10 | 19<<8 // of the shared memory
	codeCorruptFS = 10 | 33<<8 // the file system says so
	codeInPage    = 10 | 34<<8 // a page of the shared memory is there no more
)

// code returns SQLite's result code for an error without its extension, or 0.
func code(err error) int { return extendedCode(err) & 0xff }

func extendedCode(err error) int {
	var e *driversqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// busy reports whether another connection is in the way, and waiting helps.
func busy(err error) bool {
	switch code(err) {
	case codeBusy, codeLocked, codeProtocol:
		return true
	}
	return errors.Is(err, errInTheWay)
}

// errInTheWay stands for SQLITE_BUSY where SQLite reports no error: patiently tries again.
var errInTheWay = errors.New("another connection uses the file")

// damaged reports whether the file is not what it should be.
func damaged(err error) bool {
	switch code(err) {
	case codeCorrupt, codeNotADB:
		return true
	}
	switch extendedCode(err) {
	case codeShortRead, codeShmSize, codeCorruptFS, codeInPage:
		return true
	}
	return errors.Is(err, errSchema) || errors.Is(err, errIndexes)
}
