package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/store"
)

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Namespace is what the keys in Redis begin with, followed by a colon. Caches with different namespaces share a server without sharing a record.
	// It has 1 to 64 characters of the set [A-Za-z0-9_.-]. Zero means "ply".
	Namespace string

	// MaxRecordBytes bounds the records that the store writes and reads. A larger one that another program wrote is never read into memory.
	// Zero means 2 MiB, which is what the cache needs.
	MaxRecordBytes int

	// TTL is after how long Redis drops records that have no time of their own (Expires). Zero means 30 days.
	TTL time.Duration

	// Timeout is the longest that one call may take if its context has more time, connecting included. Zero means one second. The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of calls that may run at once, and of connections to each server, Notify's aside. Others wait until their context is done.
	// Zero means 32.
	Connections int

	// TLS is for connections that [Open] makes to a "rediss" URL. Zero means the system's roots and TLS 1.2.
	TLS *tls.Config

	// Logger is told what go-redis, the driver, has to say of the connections that [Open] makes, such as that it cannot connect: at level Warn, without passwords.
	// It is not needed to notice that Redis is away: the cache counts that. Zero means that the driver logs nothing.
	//
	// go-redis has one log for the whole process. Once Open has been called, all of it goes to the Logger that was named last;
	// a program with other clients of go-redis, whose log it wants, calls SetLogger of go-redis. [New] leaves the log as it is.
	Logger *slog.Logger
}

var namespaces = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	setDefault(&o.Namespace, "ply")
	setDefault(&o.MaxRecordBytes, 2<<20)
	setDefault(&o.TTL, 30*24*time.Hour)
	setDefault(&o.Timeout, time.Second)
	setDefault(&o.Connections, 32)
	switch {
	case !namespaces.MatchString(o.Namespace):
		return o, fmt.Errorf("redis: Options.Namespace is %q; it must be 1 to 64 of the characters A-Z a-z 0-9 _ . -", o.Namespace)
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > 256<<20:
		return o, fmt.Errorf("redis: Options.MaxRecordBytes is %d; it must be at most 256 MiB", o.MaxRecordBytes)
	case o.TTL < time.Second:
		return o, fmt.Errorf("redis: Options.TTL is %v; it must be a second or more", o.TTL)
	case o.Timeout < 0:
		return o, fmt.Errorf("redis: Options.Timeout is %v; it must not be negative", o.Timeout)
	case o.Connections < 0 || o.Connections > 10_000:
		return o, fmt.Errorf("redis: Options.Connections is %d; it must be 1 to 10000", o.Connections)
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A Store is a [store.Store] in Redis. It is a [store.MultiGetter], [store.Ranger], [store.Clearer] and [store.Notifier] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	client goredis.UniversalClient
	own    bool // Open made the client
	single bool // and it is one server's
	prefix string
	opt    Options
	slots  chan struct{} // a token for each call that runs

	answered  atomic.Int64 // calls that a server answered
	listeners listenerSet
	written   written
}

var _ interface {
	store.Store
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Notifier
} = (*Store)(nil)

// Open returns a store in the Redis that url says:
//
//	redis://user:password@host:6379/0          a server; rediss:// with TLS; without user and password if it needs none
//	unix:///run/redis/redis.sock               a server on this machine
//	redis+cluster://host1:6379?addr=host2:6379 a cluster, by some of its servers; rediss+cluster:// with TLS
//	redis+sentinel://host1:26379?addr=host2:26379&master_name=mymaster
//	                                           a server that sentinels know; rediss+sentinel:// with TLS
//
// It connects to nothing yet; see [Store.Ping].
//
// For [store.OpenURL] the query may have namespace, ttl, timeout and connections as well, beside what go-redis knows; for Open they stand in o.
func Open(url string, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	drivers.open(o.Logger)
	client, err := dial(url, o)
	if err != nil {
		return nil, err
	}
	return newStore(client, true, o), nil
}

// New returns a store that uses a client which the program has: a *Client (also one of NewFailoverClient) or a *ClusterClient of go-redis,
// that reads from masters only. [Store.Close] leaves it open.
// Calls return when their context is done whatever the client's options are, but connections come back sooner with ContextTimeoutEnabled.
// What a lying server may send is bounded by the client's own dialer only, and go-redis has no such bounds: a reply that nests without end ends the process.
// Where the server is not trusted, use [Open].
func New(client goredis.UniversalClient, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	switch c := client.(type) {
	case *goredis.Client:
		if c == nil {
			return nil, errors.New("redis: the client is nil")
		}
	case *goredis.ClusterClient:
		if c == nil {
			return nil, errors.New("redis: the client is nil")
		}
		if o := c.Options(); o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
			return nil, errors.New("redis: the client reads from replicas, which may not have yet what has been written; use one without ReadOnly, RouteByLatency and RouteRandomly")
		}
	default:
		return nil, fmt.Errorf("redis: a %T will not do; use a *Client or a *ClusterClient", client)
	}
	return newStore(client, false, o), nil
}

func newStore(client goredis.UniversalClient, own bool, o Options) *Store {
	s := &Store{client: client, own: own, prefix: o.Namespace + ":", opt: o, slots: make(chan struct{}, o.Connections)}
	_, one := client.(*goredis.Client)
	s.single = own && one
	s.listeners.store = s
	return s
}

// Ping returns nil if Redis answers. The cache does not need it: a store whose Redis is away counts as empty.
func (s *Store) Ping(ctx context.Context) error {
	_, err := call(s, ctx, func(ctx context.Context) (string, error) { return s.client.Ping(ctx).Result() })
	return wrap("ping", err)
}

// Close ends the calls of [Store.Notify]'s listeners, and closes the connections if [Open] made them. Calling it again does nothing.
func (s *Store) Close() error {
	s.listeners.close()
	if !s.own {
		return nil
	}
	if err := s.client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return wrap("close", err)
	}
	return nil
}
