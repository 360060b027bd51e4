package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/plyhttp/ply/store"
)

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Schema is the schema in which the table is. Caches with different schemas share a database without sharing a record.
	// It has up to 59 bytes, and may be anything else but have a backslash or control characters. Zero means "ply".
	Schema string

	// MaxBytes bounds what the records are charged with, which is about what they take in the table and its indexes after VACUUM. Zero means 1 GiB; 1 MiB is the least.
	// Every process keeps to its own MaxBytes, counts what it writes exactly, and what others write each time that it has written a sixteenth of it.
	MaxBytes int64

	// Logged makes a table that the server logs, like others: it survives a crash of the server, goes to replicas, and every change waits for the disk.
	// It counts when the table is made. ALTER TABLE … SET LOGGED or UNLOGGED changes one that is there.
	// Zero means an UNLOGGED table, which a crash of the server empties.
	Logged bool

	// OrphanAge is how long the pieces of a body may wait for the entry that they belong to. Those that wait longer are what a crash has left.
	// Zero means ten minutes. It must be longer than the longest pause within a download.
	OrphanAge time.Duration

	// Timeout is the longest that one call may take if its context has more time, connecting included. Zero means five seconds. The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of connections that [Open] makes at most, that of [Store.Notify] aside. Calls wait for one until their context is done. Zero means 8.
	// All processes together must stay below the server's max_connections. It counts in the place of pool_max_conns in the URL.
	Connections int

	// ListenURL is where the connection of [Store.Notify] leads. It is needed where the other URL leads to a pooler of transactions,
	// such as pgbouncer, on whose connections the server cannot tell a client anything. Zero means the same server as for calls.
	ListenURL string

	// Logger is told what fails where no call returns it, at level Warn: removing what has expired, listening for changes. A failure that lasts is told once, and its end at level Info.
	// Zero means that nothing is logged.
	Logger *slog.Logger
}

const (
	defaultBytes       = 1 << 30
	leastBytes         = 1 << 20
	maxRecord          = 32 << 20 // bytes of data; the table checks it, too
	defaultOrphanAge   = 10 * time.Minute
	defaultTimeout     = 5 * time.Second
	defaultConnections = 8
	maxSchema          = 63 - len(channelPrefix) // the channel's name must fit as well
)

// ErrClosed is what the methods of a closed store return, or wrap.
var ErrClosed = errors.New("postgres: the store is closed")

// ErrNewer is what every call returns, or wraps, where a later version of this package has made the table. The table is left alone.
var ErrNewer = errors.New("postgres: a later version of this package has made the table: update this program, or give it a Schema of its own")

// What the parser says of a URL may quote a part of it, such as the password.
var errURL = errors.New(`postgres: the URL is not understood; it must be like "postgres://user:password@host:5432/database?sslmode=verify-full" ` +
	`or "host=/run/postgresql dbname=app", with special characters of the password percent-encoded`)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	setDefault(&o.Schema, "ply")
	setDefault(&o.MaxBytes, defaultBytes)
	setDefault(&o.OrphanAge, defaultOrphanAge)
	setDefault(&o.Timeout, defaultTimeout)
	setDefault(&o.Connections, defaultConnections)
	switch {
	case len(o.Schema) > maxSchema || !utf8.ValidString(o.Schema) || strings.ContainsFunc(o.Schema, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }):
		return o, fmt.Errorf("postgres: Options.Schema is %.80q; it must be up to %d bytes of UTF-8 without backslashes and control characters", o.Schema, maxSchema)
	case strings.HasPrefix(o.Schema, "pg_"):
		return o, fmt.Errorf("postgres: Options.Schema is %q; names that begin with pg_ are PostgreSQL's own", o.Schema)
	case o.MaxBytes < leastBytes:
		return o, fmt.Errorf("postgres: Options.MaxBytes is %d: 0 means %d, and %d is the least", o.MaxBytes, defaultBytes, leastBytes)
	case o.OrphanAge < 0:
		return o, fmt.Errorf("postgres: Options.OrphanAge is %v: it must not be negative", o.OrphanAge)
	case o.Timeout < 0:
		return o, fmt.Errorf("postgres: Options.Timeout is %v: it must not be negative", o.Timeout)
	case o.Connections < 0 || o.Connections > 10_000:
		return o, fmt.Errorf("postgres: Options.Connections is %d: it must be 1 to 10000", o.Connections)
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A Store is a [store.Store] in a table of PostgreSQL. It is a [store.MultiGetter], [store.Ranger], [store.Clearer], [store.Expirer], [store.Sizer]
// and [store.Notifier] as well. It is safe for concurrent use, by any number of processes, and needs [Store.Close] in the end.
type Store struct {
	pool   *pgxpool.Pool
	own    bool // Open made the pool
	listen func(ctx context.Context) (*pgx.ConnConfig, error)
	opt    Options
	sql    statements
	id     string        // of this store among those that announce changes
	locks  [2]int64      // of the advisory locks: to make the table, to sweep it
	setup  chan struct{} // holds the one token of those who look at the table
	ready  atomic.Bool   // the table has been looked at, and is ours
	refuse refusal       // for the holder of the token

	ctx     context.Context // ends with Close
	end     context.CancelFunc
	once    sync.Once // of Close
	keepers sync.WaitGroup
	kick    chan struct{} // wakes keep

	answered  atomic.Int64 // calls that the server answered
	room      room
	uses      uses
	doomed    doomed
	changes   changes
	listeners listeners
	trouble   trouble
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Expirer
	store.Sizer
	store.Notifier
} = (*Store)(nil)

// Open returns a store in the database that url names, as libpq and pgx read it:
//
//	postgres://user:password@host:5432/database?sslmode=verify-full
//	postgres:///database?host=/run/postgresql                           a server on this machine
//	postgres://user@host1,host2/database                                the one of several that takes changes
//	host=/run/postgresql dbname=database user=app                       the same in another form
//
// What the URL leaves out comes from the environment (PGHOST, PGPASSWORD, …) and ~/.pgpass. It connects to nothing yet; see [Store.Ping].
//
// For [store.OpenURL] the query may have schema, max_bytes, logged, orphan_age, timeout, connections and listen_url as well, beside what pgx knows; for Open they stand in the Options.
func Open(url string, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	config.MaxConns = int32(o.Connections)
	config.MinConns = min(config.MinConns, config.MaxConns)
	complete(config.ConnConfig, o)
	// It connects to nothing: the pool does that when a connection is asked for.
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, errURL
	}
	s, err := newStore(pool, o)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.own = true
	return s, nil
}

// New returns a store that uses a pool which the program has. [Store.Close] leaves it open.
// [Options.Connections] does not count: the pool bounds itself. The pool must lead to a server that takes changes, not to a replica.
func New(pool *pgxpool.Pool, o Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres: the pool is nil")
	}
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	return newStore(pool, o)
}

func newStore(pool *pgxpool.Pool, o Options) (*Store, error) {
	s := &Store{pool: pool, opt: o, sql: newStatements(o.Schema), id: newID(), setup: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
	s.locks = [2]int64{lockNumber(o.Schema, "make"), lockNumber(o.Schema, "sweep")}
	s.setup <- struct{}{}
	s.room.most = o.MaxBytes
	s.changes.wake = make(chan struct{}, 1)
	s.listeners.store = s
	s.trouble.to = o.Logger
	if o.ListenURL != "" {
		config, err := pgx.ParseConfig(o.ListenURL)
		if err != nil {
			return nil, fmt.Errorf("postgres: Options.ListenURL: %w", errURL)
		}
		complete(config, o)
		s.listen = func(context.Context) (*pgx.ConnConfig, error) { return config.Copy(), nil }
	} else {
		s.listen = s.poolConfig
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.keepers.Go(s.keep)
	s.keepers.Go(s.announce)
	return s, nil
}

// complete sets what a URL seldom says.
func complete(c *pgx.ConnConfig, o Options) {
	if c.ConnectTimeout == 0 || c.ConnectTimeout > o.Timeout {
		c.ConnectTimeout = o.Timeout
	}
	if len(c.Fallbacks) > 0 && c.ValidateConnect == nil { // a replica would take no change
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "ply"
	}
}

// poolConfig returns how the pool connects.
func (s *Store) poolConfig(ctx context.Context) (*pgx.ConnConfig, error) {
	config := s.pool.Config()
	if config.BeforeConnect != nil { // passwords that are made for each connection
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, err
		}
	}
	return config.ConnConfig, nil
}

// Ping returns nil if the server answers and the table is there and can be used; if it is not there, it is made.
// The cache does not need it: a store whose server is away counts as empty.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "SELECT 1")
		return err
	})
}

// Close ends the calls of [Store.Notify]'s listeners, writes down what was used, and closes the connections if [Open] made them.
// A server that hangs holds it up for [Options.Timeout]. Calling it again does nothing.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.listeners.close()
		s.end()
		s.keepers.Wait()
		if s.own {
			s.closePool()
		}
	})
	return nil
}

// closePool waits for no connection longer than Timeout: pgx gives one that was given up 15 seconds to say goodbye.
func (s *Store) closePool() {
	closed := make(chan struct{})
	go func() { // ends with the last connection
		defer close(closed)
		s.pool.Close()
	}()
	patience := time.NewTimer(s.opt.Timeout)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
	}
}
