package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/store"
)

// Options say how a file is kept. The zero value is a good one.
type Options struct {
	// MaxBytes bounds what the records are charged with, which is about what they take in the file. Zero means 1 GiB; 1 MiB is the least.
	// Beside it there is the write-ahead log, of 64 MiB at most and mostly below 16 MiB.
	// Each process that has the file open keeps to its own MaxBytes.
	MaxBytes int64

	// Sync says when SQLite waits for the disk. Zero means [SyncNormal].
	Sync Sync

	// OrphanAge is how long the pieces of a body may wait for the entry that they belong to. Those that wait longer are what a crash has left.
	// Zero means ten minutes. It must be longer than the longest pause within a download.
	OrphanAge time.Duration

	// OnReset is called when the file turned out to be damaged, and everything in it was dropped. It may be called from several goroutines, and must not call the store.
	// Nil means that no function is.
	OnReset func(reason error)
}

// Sync says when SQLite waits until what it has written is on the disk. In every mode a killed process loses nothing that Put has returned from,
// and no mode lets a record be wrong: each has its checksum.
type Sync int

const (
	// SyncNormal keeps the file whole when the machine loses power. Its last seconds may be lost.
	SyncNormal Sync = iota

	// SyncOff never waits. When the machine loses power the file may be damaged, and is then emptied when that is found out.
	SyncOff

	// SyncFull waits in every Put.
	SyncFull
)

// String returns what SQLite calls it.
func (s Sync) String() string {
	switch s {
	case SyncOff:
		return "OFF"
	case SyncFull:
		return "FULL"
	}
	return "NORMAL"
}

const (
	defaultBytes     = 1 << 30
	leastBytes       = 1 << 20
	defaultOrphanAge = 10 * time.Minute
	maxRecord        = 32 << 20
)

// ErrClosed is what the methods of a closed store return, or wrap.
var ErrClosed = errors.New("sqlite: the store is closed")

// A Store keeps records in one file. It is safe for concurrent use, by several processes too.
type Store struct {
	path    string
	options Options
	uses    uses
	closing chan struct{} // closed by Close
	kick    chan struct{} // wakes keep
	written chan struct{} // wakes keepLog
	reports chan report   // of damage, to the keeper
	keepers sync.WaitGroup
	once    sync.Once    // of Close
	ceiling atomic.Int64 // of bytes, where the disk has less room than MaxBytes; else 0
	stuck   atomic.Bool  // the disk is so full that not even the log can be moved into the file
	resets  atomic.Int64 // how often the file was found damaged: what was seen before one is no reason for another

	// mu is held for reading while a method uses db, and for writing while db is exchanged.
	mu     sync.RWMutex
	db     *database
	closed bool
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.MultiGetter = (*Store)(nil)
	_ store.Ranger      = (*Store)(nil)
	_ store.Clearer     = (*Store)(nil)
	_ store.Expirer     = (*Store)(nil)
	_ store.Sizer       = (*Store)(nil)
)

// Open opens the file at path, which other processes and other stores of this one may have open too, and makes it with its directory if it is not there.
// The file is for its user alone (0600), and so are those beside it that end in -wal and -shm.
//
// Open refuses what is not its own: symbolic links, directories, files of other users, databases of other applications, and files that are no database.
// It refuses a directory in which others may write, or that belongs to another user: SQLite rolls a journal beside a database back into it, whatever its origin.
// A directory of another user in which all may write, such as /tmp, is not for this user to mend: Open returns a store that keeps nothing there.
// Each call of it is an error that says why, until the directory is another one.
//
// A file of its own that is damaged is emptied; see Options.OnReset. A file of a newer version is [ErrNewer].
//
// For [store.OpenURL] a file is sqlite:///var/cache/app/cache.db?max_bytes=512MiB&sync=off&orphan_age=10m, or sqlite:cache.db for one below the working directory.
//
// The caller closes the store, after the cache that uses it.
func Open(path string, o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	located, err := locate(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	s := &Store{path: located, options: o, closing: make(chan struct{}), kick: make(chan struct{}, 1), written: make(chan struct{}, 1), reports: make(chan report, 1)}
	db, told, err := openDatabase(located, o.Sync)
	if err != nil && !errors.Is(err, errCommons) {
		return nil, fmt.Errorf("sqlite: open %s: %w", located, err)
	}
	s.db = db
	s.tell(told)
	s.keepers.Go(s.keep)
	s.keepers.Go(s.keepLog)
	return s, nil
}

func (o *Options) complete() error {
	switch {
	case o.MaxBytes < 0 || o.MaxBytes > 0 && o.MaxBytes < leastBytes:
		return fmt.Errorf("Options.MaxBytes is %d: 0 means %d, and %d is the least", o.MaxBytes, defaultBytes, leastBytes)
	case o.OrphanAge < 0:
		return fmt.Errorf("Options.OrphanAge is %v: 0 means %v", o.OrphanAge, defaultOrphanAge)
	case o.Sync < SyncNormal || o.Sync > SyncFull:
		return fmt.Errorf("Options.Sync is %d, which is none of SyncNormal, SyncOff and SyncFull", o.Sync)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultBytes
	}
	if o.OrphanAge == 0 {
		o.OrphanAge = defaultOrphanAge
	}
	return nil
}

func (s *Store) tell(reason error) {
	if reason != nil && s.options.OnReset != nil {
		s.options.OnReset(reason)
	}
}

// Close ends the store: it waits for the methods that run, has those that wait for other processes give up, and closes the file.
// Later calls of any method, but of Close, return [ErrClosed].
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.keepers.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		if s.db != nil {
			s.lastUses(s.db)
			s.db.close()
		}
	})
	return nil
}

// patiently runs f again for as long as another process has the file locked, until ctx is done or closing is closed.
// The pauses are short: a transaction takes well below a millisecond.
func patiently(ctx context.Context, closing <-chan struct{}, f func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		err := f()
		if !busy(err) {
			return err
		}
		pause := time.NewTimer(pauses())
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("another connection kept the file locked: %w", context.Cause(ctx))
		case <-closing:
			pause.Stop()
			return ErrClosed
		case <-pause.C:
		}
	}
}

// use calls f with the open file. If its name leads elsewhere by now, that is opened first.
func (s *Store) use(ctx context.Context, what string, f func(db *database) error) error {
	err := s.useOnce(ctx, f)
	if errors.Is(err, errMoved) {
		if err = s.reopen(); err == nil {
			err = s.useOnce(ctx, f)
		}
	}
	switch {
	case err == nil, errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrTooLarge):
		return err
	}
	return fmt.Errorf("sqlite: %s: %w", what, err)
}

var errMoved = errors.New("the file was removed or replaced")

func (s *Store) useOnce(ctx context.Context, f func(db *database) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.isClosing() {
		return ErrClosed
	}
	if s.db == nil || !s.db.current() {
		return errMoved
	}
	resets := s.resets.Load()
	err := f(s.db)
	if err != nil && code(err) == codeReadOnly && s.db.writableAgain() {
		s.db.lost.Store(true)
		return errMoved
	}
	if !damaged(err) {
		return err
	}
	if _, current := s.db.logSize(); !current {
		return errMoved
	}
	s.report(report{err, resets})
	return err
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// reopen opens what the name leads to now.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.isClosing() {
		return ErrClosed
	}
	if s.db != nil {
		if s.db.current() {
			return nil // another call was faster
		}
		s.db.close()
		s.db = nil
	}
	db, told, err := openDatabase(s.path, s.options.Sync)
	if err != nil {
		return err
	}
	s.db = db
	s.tell(told)
	return nil
}

// read calls f with a connection to read from, and again for as long as another connection is in the way.
func (s *Store) read(ctx context.Context, db *database, f func(c *conn) error) error {
	c, err := s.reader(ctx, db)
	if err != nil {
		return err
	}
	defer func() { db.readers <- c }()
	if c != nil { // mostly, once is enough
		if err := f(c); !busy(err) {
			return err
		}
	}
	c, err = s.readPatiently(ctx, db, c, f)
	return err
}

// reader takes a connection from those that are free. It is nil if it is to be connected.
func (s *Store) reader(ctx context.Context, db *database) (*conn, error) {
	select {
	case c := <-db.readers:
		return c, nil
	default:
	}
	select {
	case c := <-db.readers:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.closing:
		return nil, ErrClosed
	}
}

// readPatiently connects c if it is nil, and returns it.
func (s *Store) readPatiently(ctx context.Context, db *database, c *conn, f func(c *conn) error) (*conn, error) {
	err := patiently(ctx, s.closing, func() (err error) {
		if c == nil {
			if c, err = db.reader(); err != nil {
				return err
			}
		}
		return f(c)
	})
	return c, err
}

func (db *database) reader() (*conn, error) {
	if err := unshared(db.path); err != nil {
		return nil, err
	}
	c, err := connect(db.path, db.sync)
	if err != nil {
		return nil, err
	}
	if err := c.script("PRAGMA query_only = ON"); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// write runs f in a transaction. All of it takes place or, if f returns an error, nothing.
func (s *Store) write(ctx context.Context, db *database, f func(tx *tx) error) error {
	return s.inTurn(ctx, db, func() error {
		err := s.boundLog(ctx, db)
		if err == nil {
			err = patiently(ctx, s.closing, func() error {
				return transaction(ctx, db.writer, func() error { return f(&tx{conn: db.writer, store: s, db: db}) })
			})
		}
		if code(err) == codeFull {
			s.squeeze(db)
		}
		return err
	})
}

// inTurn runs f while no other goroutine of this process writes.
func (s *Store) inTurn(ctx context.Context, db *database, f func() error) error {
	select {
	case <-db.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return ErrClosed
	}
	defer func() { db.turn <- struct{}{} }()
	return f()
}
