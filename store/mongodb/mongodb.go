package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/plyhttp/ply/store"
)

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Database is the name of the database. Zero means the one in the path of the URL, or "ply" if it has none. Only for [Open].
	Database string

	// Collection is the name of the collection, which the store has to itself. Zero means "cache". Only for [Open].
	Collection string

	// MaxBytes bounds what the records take, as [Store.Size] counts them: MongoDB compresses them, and needs room for indexes as well.
	// Each further process that uses the collection may exceed it by an eighth for a moment, and so may one that has begun a moment ago. Zero means 1 GiB.
	MaxBytes int64

	// MaxRecordBytes bounds the records that the store writes and reads. Zero means 2 MiB, which is what the cache needs. A document of MongoDB has 16 MB at most.
	MaxRecordBytes int

	// Journal has each change wait until it is in the journal on the disks of a majority. Zero means that their memory is enough.
	Journal bool

	// Timeout is the longest that one call may take if its context has more time. Zero means two seconds. The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of connections to each server, at most. Further calls wait until their context is done. Zero means 32. Only for [Open].
	Connections int
}

var names = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	setDefault(&o.Database, "ply")
	setDefault(&o.Collection, "cache")
	setDefault(&o.MaxBytes, 1<<30)
	setDefault(&o.MaxRecordBytes, 2<<20)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.Connections, 32)
	switch {
	case !names.MatchString(o.Database):
		return o, errors.New("mongodb: Options.Database must be 1 to 60 of the characters A-Z a-z 0-9 _ -")
	case !names.MatchString(o.Collection):
		return o, errors.New("mongodb: Options.Collection must be 1 to 60 of the characters A-Z a-z 0-9 _ -")
	case o.MaxBytes < 1<<20:
		return o, fmt.Errorf("mongodb: Options.MaxBytes is %d; it must be 1 MiB or more", o.MaxBytes)
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > 15<<20:
		return o, fmt.Errorf("mongodb: Options.MaxRecordBytes is %d; it must be at most 15 MiB", o.MaxRecordBytes)
	case o.Timeout < 0:
		return o, fmt.Errorf("mongodb: Options.Timeout is %v; it must not be negative", o.Timeout)
	case o.Connections < 0 || o.Connections > 10_000:
		return o, fmt.Errorf("mongodb: Options.Connections is %d; it must be 1 to 10000", o.Connections)
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A Store is a [store.Store] in a collection of MongoDB. It is a [store.MultiGetter], [store.Ranger], [store.Clearer], [store.Expirer] and [store.Sizer] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	own        *mongo.Client // that Open made, or nil
	collection *mongo.Collection
	opt        Options
	room       room

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup // the sweeper and the measurer
	touches sync.WaitGroup // what notes uses
	slots   chan struct{}  // a token for each of those
	wake    chan struct{}  // for the measurer
	mu      sync.Mutex     // guards closed
	closed  bool

	evicting chan struct{} // holds a token while room is being made
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Expirer
	store.Sizer
} = (*Store)(nil)

// Open returns a store in the MongoDB that rawURL names:
//
//	mongodb://user:password@host1:27017,host2:27017/database?replicaSet=rs0&tls=true
//	mongodb+srv://user:password@cluster.example.net/database
//
// It waits for no server; see [Store.Ping]. Only a mongodb+srv URL is looked up in the DNS at once, which ends with ctx.
// All calls go to the primary, and changes wait for a majority, whatever the URL says; and Options.Connections and Options.Timeout
// count in the place of its maxPoolSize, connectTimeoutMS and serverSelectionTimeoutMS.
//
// For [store.OpenURL] the query may have collection, max_bytes, journal, timeout and connections, which are Options, beside what the driver knows.
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	database, err := databaseOf(rawURL)
	if err != nil {
		return nil, err
	}
	setDefault(&o.Database, database)
	if o, err = o.checked(); err != nil {
		return nil, err
	}
	settings, err := applied(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	settings.SetMaxPoolSize(uint64(o.Connections)).SetMaxConnecting(uint64(min(o.Connections, 8)))
	settings.SetConnectTimeout(o.Timeout).SetServerSelectionTimeout(o.Timeout)
	client, err := mongo.Connect(settings)
	if err != nil {
		return nil, errURL
	}
	return newStore(client, client.Database(o.Database).Collection(o.Collection), o), nil
}

var errURL = errors.New("mongodb: the URL is not understood: it must be like mongodb://user:password@host:27017/database, with special characters of the password percent-encoded and options that the driver knows") // the driver's error may quote it

// databaseOf returns the database in the path of a URL, or "".
func databaseOf(rawURL string) (string, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return "", errURL
	}
	rest, _, _ = strings.Cut(rest, "?")
	_, path, _ := strings.Cut(rest, "/")
	database, err := url.PathUnescape(path)
	if err != nil {
		return "", errURL
	}
	return database, nil
}

// applied returns the settings that a URL stands for. The driver looks up mongodb+srv URLs without a context: that goroutine ends when the resolver does.
func applied(ctx context.Context, rawURL string) (*options.ClientOptions, error) {
	done := make(chan *options.ClientOptions, 1) // has room, so that the goroutine ends though the caller has gone
	go func() { done <- options.Client().ApplyURI(rawURL) }()
	select {
	case settings := <-done:
		if settings.Validate() != nil {
			return nil, errURL
		}
		return settings, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("mongodb: looking up the servers of the URL: %w", ctx.Err())
	}
}

// New returns a store in a collection of a client that the program has, which [Store.Close] leaves open. The store has the collection to itself.
// All calls go to the primary, and changes wait for a majority, whatever the client's options are.
func New(collection *mongo.Collection, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if collection == nil {
		return nil, errors.New("mongodb: the collection is nil")
	}
	return newStore(nil, collection, o), nil
}

const touchers = 4 // uses that are noted at once

func newStore(own *mongo.Client, collection *mongo.Collection, o Options) *Store {
	w := writeconcern.Majority()
	if o.Journal {
		w.Journal = &o.Journal
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		own: own, opt: o, ctx: ctx, cancel: cancel, slots: make(chan struct{}, touchers), wake: make(chan struct{}, 1), evicting: make(chan struct{}, 1),
		room:       room{most: o.MaxBytes, oldest: time.Now()},
		collection: collection.Clone(options.Collection().SetReadPreference(readpref.Primary()).SetReadConcern(readconcern.Local()).SetWriteConcern(w)),
	}
	s.work.Go(s.sweeper)
	s.work.Go(s.measurer)
	return s
}

// Ping returns nil if the primary answers. The cache does not need it: a store whose server is away counts as empty.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return wrap(ctx, "ping", s.collection.Database().Client().Ping(ctx, readpref.Primary()))
}

// Close ends what the store does in the background, and closes the connections if [Open] made them. Calling it again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	s.touches.Wait()
	if s.own == nil || !first {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opt.Timeout)
	defer cancel()
	return wrap(ctx, "close", s.own.Disconnect(ctx))
}

// bounded returns the context of one call.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.opt.Timeout)
}

// wrap returns the error of a call for its caller. The driver may see that a call will be too late before the context is done.
func wrap(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case mongo.IsTimeout(err):
		err = context.DeadlineExceeded
	}
	return fmt.Errorf("mongodb: %s: %w", op, err)
}
