package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // what it does when it starts, SQLite's code needs on some systems
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one connection, and the statements that it has prepared. It is used by one goroutine at a time, so SQLite takes no lock for it.
//
// It stands directly on SQLite's own functions. What database/sql adds, a pool that grows and shrinks, the store must do without, because it has to know
// which connection writes; and what a driver adds, the names and types of all columns for each query, takes longer than to read a record.
type conn struct {
	tls        *libc.TLS // what SQLite's code has for a thread
	db         uintptr   // *sqlite3
	room       uintptr   // SQLite's memory: two pointers, for what its functions return by them
	statements map[string]*prepared
	lookups    []*lookup
}

// prepared is a statement that is prepared. Its rows are read until it is reset.
type prepared struct {
	conn    *conn
	ptr     uintptr // *sqlite3_stmt
	bound   []argument
	columns int
}

// argument is a text or a blob that is bound to a statement.
type argument struct {
	number int32
	memory uintptr // SQLite's
}

const pointerBytes = int(unsafe.Sizeof(uintptr(0)))

// memory is n bytes of SQLite's memory, which the garbage collector does not know. They are good for as long as SQLite says.
func memory(p uintptr, n int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), n) // go vet knows no addresses but Go's
}

// pointerAt is the pointer in SQLite's memory.
func pointerAt(p uintptr) uintptr {
	return *(*uintptr)(unsafe.Pointer(unsafe.SliceData(memory(p, pointerBytes))))
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
	c := &conn{tls: libc.NewTLS(), statements: make(map[string]*prepared)}
	if err := c.open(path); err != nil {
		c.close()
		return nil, err
	}
	for _, p := range append(pragmas, "synchronous = "+sync.String()) {
		if err := c.script("PRAGMA " + p); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) open(path string) (err error) {
	if c.room, err = c.allocated(2 * pointerBytes); err != nil {
		return err
	}
	name, err := text(c, path)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	code := sqlite3.Xsqlite3_open_v2(c.tls, name, c.room, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = pointerAt(c.room) // also after an error, which it has the text of
	if code != sqlite3.SQLITE_OK {
		return failed(c.tls, c.db, code)
	}
	return c.check(sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1))
}

// close closes the connection. It is the end of any transaction.
func (c *conn) close() {
	for _, s := range c.statements {
		s.close()
	}
	for _, l := range c.lookups {
		l.close()
	}
	if c.db != 0 {
		sqlite3.Xsqlite3_close_v2(c.tls, c.db)
	}
	if c.room != 0 {
		libc.Xfree(c.tls, c.room)
	}
	c.tls.Close()
}

// check returns the error for a result code.
func (c *conn) check(code int32) error {
	if code == sqlite3.SQLITE_OK {
		return nil
	}
	return failed(c.tls, c.db, code)
}

var errMemory = errors.New("no memory is left for SQLite")

// allocated returns so many bytes of SQLite's memory, for libc.Xfree.
func (c *conn) allocated(n int) (uintptr, error) {
	if p := libc.Xmalloc(c.tls, libc.Tsize_t(max(n, 1))); p != 0 {
		return p, nil
	}
	return 0, errMemory
}

// text returns a copy of a string that ends as those of C do.
func text[T string | []byte](c *conn, s T) (uintptr, error) {
	p, err := c.allocated(len(s) + 1)
	if err == nil {
		b := memory(p, len(s)+1)
		b[copy(b, s)] = 0
	}
	return p, err
}

// script runs statements that are needed once.
func (c *conn) script(sql string) error {
	script, err := text(c, sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, script)
	return c.check(sqlite3.Xsqlite3_exec(c.tls, c.db, script, 0, 0, 0))
}

// prepare makes a statement of the first one in sql.
func (c *conn) prepare(sql string) (*prepared, error) {
	source, err := text(c, sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, source)
	if err := c.check(sqlite3.Xsqlite3_prepare_v2(c.tls, c.db, source, -1, c.room, 0)); err != nil {
		return nil, err
	}
	s := &prepared{conn: c, ptr: pointerAt(c.room)}
	s.columns = int(sqlite3.Xsqlite3_column_count(c.tls, s.ptr))
	return s, nil
}

func (c *conn) statement(sql string) (*prepared, error) {
	if s, ok := c.statements[sql]; ok {
		return s, nil
	}
	s, err := c.prepare(sql)
	if err == nil {
		c.statements[sql] = s
	}
	return s, err
}

func (s *prepared) close() { sqlite3.Xsqlite3_finalize(s.conn.tls, s.ptr) }

// reset ends the use of the statement, and the transaction that it began.
func (s *prepared) reset() error {
	code := sqlite3.Xsqlite3_reset(s.conn.tls, s.ptr)
	for _, a := range s.bound { // not sqlite3_clear_bindings, after which a statement may be prepared again, for each use of it
		sqlite3.Xsqlite3_bind_null(s.conn.tls, s.ptr, a.number)
		libc.Xfree(s.conn.tls, a.memory)
	}
	s.bound = s.bound[:0]
	return s.conn.check(code)
}

// step reports whether there is another row.
func (s *prepared) step() (bool, error) {
	switch code := sqlite3.Xsqlite3_step(s.conn.tls, s.ptr); code {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.conn.check(code)
	}
}

// bind sets the arguments.
func (s *prepared) bind(args []any) error {
	for i, a := range args {
		if err := s.bindOne(int32(i+1), a); err != nil {
			return err
		}
	}
	return nil
}

func (s *prepared) bindOne(i int32, arg any) error {
	tls := s.conn.tls
	switch a := arg.(type) {
	case nil:
		return s.conn.check(sqlite3.Xsqlite3_bind_null(tls, s.ptr, i))
	case int64:
		return s.conn.check(sqlite3.Xsqlite3_bind_int64(tls, s.ptr, i, a))
	case string:
		p, n, err := copied(s, i, a)
		if err != nil {
			return err
		}
		return s.conn.check(sqlite3.Xsqlite3_bind_text(tls, s.ptr, i, p, n, 0))
	case []byte:
		p, n, err := copied(s, i, a)
		if err != nil {
			return err
		}
		return s.conn.check(sqlite3.Xsqlite3_bind_blob(tls, s.ptr, i, p, n, 0))
	}
	return fmt.Errorf("an argument that is a %T", arg)
}

// copied returns a copy of an argument that lasts until reset, and its length.
func copied[T string | []byte](s *prepared, number int32, arg T) (p uintptr, n int32, err error) {
	if n, err = boundLength(len(arg)); err != nil {
		return 0, 0, err
	}
	if p, err = text(s.conn, arg); err == nil {
		s.bound = append(s.bound, argument{number, p})
	}
	return p, n, err
}

// boundLength is the length of an argument as SQLite counts, which takes a negative one, and any that is 4 GiB more, for another.
func boundLength(n int) (int32, error) {
	if n > sqlite3.SQLITE_MAX_LENGTH {
		return 0, fmt.Errorf("a value has %d bytes, and SQLite takes %d at most", n, sqlite3.SQLITE_MAX_LENGTH)
	}
	return int32(n), nil
}

// column returns a value of the present row.
func (s *prepared) column(i int) driver.Value {
	tls, at := s.conn.tls, int32(i)
	switch sqlite3.Xsqlite3_column_type(tls, s.ptr, at) {
	case sqlite3.SQLITE_INTEGER:
		return s.integer(i)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(tls, s.ptr, at)
	case sqlite3.SQLITE_TEXT:
		return string(s.bytes(i))
	case sqlite3.SQLITE_BLOB:
		return bytes.Clone(s.bytes(i))
	}
	return nil
}

// integer returns a number of the present row.
func (s *prepared) integer(i int) int64 {
	return sqlite3.Xsqlite3_column_int64(s.conn.tls, s.ptr, int32(i))
}

// bytes returns a text or blob of the present row, in SQLite's memory until the next step. If SQLite has no memory for it, bytes returns none, and reset the error.
func (s *prepared) bytes(i int) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.conn.tls, s.ptr, int32(i)) // of a text, too
	n := int(sqlite3.Xsqlite3_column_bytes(s.conn.tls, s.ptr, int32(i)))
	if p == 0 || n == 0 {
		return []byte{}
	}
	return memory(p, n)
}

// isNull reports whether a value of the present row is NULL.
func (s *prepared) isNull(i int) bool {
	return sqlite3.Xsqlite3_column_type(s.conn.tls, s.ptr, int32(i)) == sqlite3.SQLITE_NULL
}

// exec runs a statement and returns how many rows it changed.
//
// ctx is for those statements that may take long: it costs a goroutine, and what is over within microseconds never hears of it.
func (c *conn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	err := c.each(ctx, sql, func([]driver.Value) bool { return true }, args...)
	if err != nil {
		return 0, err
	}
	return int64(sqlite3.Xsqlite3_changes(c.tls, c.db)), nil
}

// each calls f with every row of a query until f returns false. The row is f's for the time of the call; blobs are f's for good.
func (c *conn) each(ctx context.Context, sql string, f func(row []driver.Value) bool, args ...any) error {
	s, err := c.statement(sql)
	if err != nil {
		return err
	}
	return c.interruptible(ctx, func() error {
		err := s.bind(args)
		if err == nil {
			err = s.rows(f)
		}
		if e := s.reset(); err == nil {
			err = e
		}
		return err
	})
}

func (s *prepared) rows(f func(row []driver.Value) bool) error {
	row := make([]driver.Value, s.columns)
	for {
		more, err := s.step()
		if err != nil || !more {
			return err
		}
		for i := range row {
			row[i] = s.column(i)
		}
		if !f(row) {
			return nil
		}
	}
}

// interruptible runs f, and has SQLite end the statement in it when ctx is done. An interruption that comes before the statement has begun is lost,
// so it is repeated until f has returned.
func (c *conn) interruptible(ctx context.Context, f func() error) error {
	if ctx.Done() == nil {
		return f()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	over := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { c.interruptWhenDone(ctx, over) })
	err := f()
	close(over)
	watcher.Wait()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *conn) interruptWhenDone(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	tls := libc.NewTLS() // c's own is in use
	defer tls.Close()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		sqlite3.Xsqlite3_interrupt(tls, c.db)
		select {
		case <-over:
			return
		case <-again.C:
		}
	}
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
