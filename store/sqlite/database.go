package sqlite

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

//go:embed schema.sql
var schemaSQL string

const (
	schemaVersion = 1  // in user_version
	schemaObjects = 13 // tables, indexes, triggers and views in schema.sql
)

var (
	errSchema  = errors.New("its tables are not those of this version")
	errIndexes = errors.New("its indexes contradict each other")
	errForeign = errors.New("it is the database of another application, and was left alone")
	errNoMark  = errors.New("it is no database that can be read, nor one of this package, and was left alone")
)

// ErrNewer is what Open returns, or wraps, for a file that a newer version of this package has made. It was left alone.
var ErrNewer = errors.New("sqlite: a newer version of this package has made the file")

// database is the open file: connections to one inode. When the name leads to another one, or nowhere, it is over.
type database struct {
	path   string
	info   fs.FileInfo
	opened time.Time
	log    fs.FileInfo // of the write-ahead log, or nil if that is not known
	// The next call opens the file anew: the name of the log leads elsewhere, so that others do not see what is written to this one, nor do connections that come later;
	// or SQLite has it open for reading only, and it can be written by now.
	lost    atomic.Bool
	sync    Sync
	turn    chan struct{} // holds the one token of those who write
	writer  *conn         // used by the holder of the token
	wrote   int64         // bytes into the log since it was moved into the file, for the holder of the token
	tried   int64         // the length of the log when it could not be emptied the last time, for the holder of the token
	readers chan *conn    // holds one for each that is free; nil ones are connected when they are needed
}

// patience bounds what waits for other processes and has no context: Open, and the keeper's work.
const patience = 10 * time.Second

// openDatabase opens the file at path, and makes it if it is not there. If it had to be emptied, told says why.
func openDatabase(path string, sync Sync) (db *database, told, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 2 {
		db, told, err = openFile(ctx, path, sync, told)
		if !damaged(err) {
			return db, told, err
		}
		switch gone, e := discard(path); {
		case e != nil:
			return nil, nil, e
		case !gone:
			return nil, nil, errNoMark
		}
		told = err
	}
	return nil, nil, err
}

func openFile(ctx context.Context, path string, sync Sync, told error) (*database, error, error) {
	info, err := provide(path)
	if err != nil {
		return nil, nil, err
	}
	if info.Mode().Perm()&0o200 != 0 {
		if err := makeWritable(path); err != nil {
			return nil, nil, err
		}
	}
	opened(path)
	var writer *conn
	err = patiently(ctx, nil, func() (err error) {
		writer, err = connect(path, sync)
		return err
	})
	if err == nil {
		err = patiently(ctx, nil, func() error { return settle(ctx, writer) })
		if damaged(err) {
			told = err
			if id, e := writer.number(ctx, "PRAGMA application_id"); e == nil && id == applicationID {
				err = patiently(ctx, nil, func() error { return empty(ctx, writer) })
				if damaged(err) {
					err = errors.Join(err, remove(path))
				}
			}
		}
		if err == nil {
			err = withdraw(path)
		}
		if err != nil {
			writer.close()
		}
	}
	if err != nil {
		closed(path)
		return nil, told, err
	}
	db := &database{path: path, info: info, opened: time.Now(), sync: sync, writer: writer, turn: make(chan struct{}, 1), readers: make(chan *conn, min(max(runtime.GOMAXPROCS(0), 2), 8))}
	db.log, _ = os.Lstat(path + "-wal")
	db.turn <- struct{}{}
	for range cap(db.readers) {
		db.readers <- nil
	}
	return db, told, nil
}

// settle identifies the database, makes the tables in an empty one, and turns the write-ahead log on. It refuses another application's.
func settle(ctx context.Context, c *conn) error {
	id, version, objects, err := c.identify(ctx)
	switch {
	case err != nil:
		return err
	case id == applicationID && version > schemaVersion:
		return ErrNewer
	case id == 0 && version == 0 && objects == 0:
		return furnish(ctx, c)
	case id != applicationID:
		return errForeign
	case version != schemaVersion:
		return errSchema
	}
	return known(ctx, c)
}

// identify returns what a file says that it is, all of it at one moment: another process may just be making it.
func (c *conn) identify(ctx context.Context) (id, version, objects int64, err error) {
	if _, err = c.exec(background, "BEGIN"); err != nil {
		return 0, 0, 0, err
	}
	defer func() { _, _ = c.exec(background, "ROLLBACK") }()
	if id, err = c.number(ctx, "PRAGMA application_id"); err != nil {
		return 0, 0, 0, err
	}
	if version, err = c.number(ctx, "PRAGMA user_version"); err != nil {
		return 0, 0, 0, err
	}
	objects, err = c.number(ctx, "SELECT count(*) FROM sqlite_schema")
	return id, version, objects, err
}

// known checks that the tables are there as schema.sql has them. What people have added to them stays.
func known(ctx context.Context, c *conn) error {
	n, err := c.number(ctx, "SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL AND instr(?1, sql) > 0", schemaSQL)
	if err != nil {
		return err
	}
	if n != schemaObjects {
		return errSchema
	}
	return writeAhead(ctx, c)
}

func writeAhead(ctx context.Context, c *conn) error {
	row, err := c.first(ctx, "PRAGMA journal_mode = WAL")
	if err == nil && (row == nil || row[0] != "wal") {
		err = errors.New("the file system has no shared memory for the write-ahead log: choose a local one")
	}
	return err
}

// furnish makes the tables in an empty file, unless another process is faster: of two that find it empty, the one that gets the write lock second
// looks again under the lock, and finds the tables of the first.
func furnish(ctx context.Context, c *conn) error {
	if err := c.script("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL"); err != nil { // which count in the moment in which the file gets its first page
		return err
	}
	if err := writeAhead(ctx, c); err != nil {
		return err
	}
	err := transaction(ctx, c, func() error {
		if n, err := c.number(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil || n > 0 {
			return err
		}
		return c.script(tables)
	})
	if err == nil {
		_ = c.script("PRAGMA wal_checkpoint(PASSIVE)") // so that the file bears our mark, whatever becomes of the log
	}
	return err
}

var tables = fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", schemaSQL, applicationID, schemaVersion)

// empty makes a database of ours anew, whatever it holds, so that others who have it open see its old tables or the new ones.
// The pages of the old tables are not looked at: some of them are why this is done.
func empty(ctx context.Context, c *conn) error {
	if err := c.script("PRAGMA writable_schema = ON"); err != nil {
		return err
	}
	err := transaction(ctx, c, func() error {
		return c.script("DELETE FROM sqlite_schema; PRAGMA writable_schema = RESET;" + tables)
	})
	if e := c.script("PRAGMA writable_schema = RESET"); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := writeAhead(ctx, c); err != nil {
		return err
	}
	return c.script("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
}

// transaction runs f with the write lock, and undoes all of it if f fails.
func transaction(ctx context.Context, c *conn, f func() error) error {
	if _, err := c.exec(background, "BEGIN IMMEDIATE"); err != nil {
		if code(err) == codeError { // a transaction is open that a failing disk did not let end: end it, and come again
			_, _ = c.exec(background, "ROLLBACK")
			return errInTheWay
		}
		return err
	}
	err := f()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		_, err = c.exec(background, "COMMIT")
	}
	if err != nil {
		_, _ = c.exec(background, "ROLLBACK") // fails if SQLite has done it already
	}
	return err
}

// current reports whether the name still leads to this file, and that of its log to the one that was opened, as far as that has been looked at.
func (db *database) current() bool {
	if db.lost.Load() {
		return false
	}
	info, err := os.Lstat(db.path)
	return err == nil && os.SameFile(info, db.info)
}

// writableAgain reports whether it may help to open the file anew after an error that says that it cannot be written. SQLite opens a file without write permission
// for reading only, and does not look again. A file system that takes no writes does not show in the permissions, so opening anew is tried once a second at most.
func (db *database) writableAgain() bool {
	if time.Since(db.opened) < time.Second {
		return false
	}
	info, err := os.Lstat(db.path)
	return err == nil && info.Mode().Perm()&0o200 != 0
}

// logSize returns how long the write-ahead log is, and whether it is still the one that was opened.
func (db *database) logSize() (size int64, current bool) {
	info, err := os.Lstat(db.path + "-wal")
	if db.log != nil && (err != nil || !os.SameFile(info, db.log)) {
		db.lost.Store(true)
		return 0, false
	}
	if err != nil {
		return 0, true
	}
	return info.Size(), true
}

// close closes the connections, which are not in use any more. The last one to close a file takes its log away.
func (db *database) close() {
	for range cap(db.readers) {
		if c := <-db.readers; c != nil {
			c.close()
		}
	}
	db.writer.close()
	closed(db.path)
}
