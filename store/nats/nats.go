package nats

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/store"
)

// An OptionError is what [Open] and [New] return for an option that cannot be carried out.
type OptionError = optionerror.Error

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Bucket names the bucket of JetStream's key-value store, which is made when it is first used. Caches with different buckets share a server without sharing a record.
	// It has 1 to 64 characters of the set [A-Za-z0-9_-]. Zero means "ply".
	Bucket string

	// MaxBytes bounds the bucket, by the server's own accounting. Zero means 1 GiB; it is 1 MiB at least. MaxBytes, Memory and Replicas count for the one who makes the bucket:
	// one that is there stays as it is.
	MaxBytes int64

	// Memory has the server keep the bucket in memory: a restart of the server empties it. Zero means files.
	Memory bool

	// Replicas is on how many servers of a cluster the bucket is, 1 to 5. Zero means 1. With more than one, reads go to the leader alone: the others may not have yet what has been written.
	Replicas int

	// MaxRecordBytes bounds the records that the store writes and reads. Zero means 2 MiB, which is what the cache needs.
	// What exceeds a message of the server (max_payload) is cut into chunks.
	MaxRecordBytes int

	// Timeout is the longest that one call may take if its context has more time. Zero means one second. The cache brings its own, shorter one.
	Timeout time.Duration

	// Calls is the number of calls that may run at once. Others wait until their context is done. Zero means 64.
	Calls int

	// Connect has further options for the connection that [Open] makes, such as UserCredentials, Secure or RootCAs of nats.go. Nil means none.
	Connect []natsgo.Option
}

var buckets = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	o.Bucket = cmp.Or(o.Bucket, "ply")
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.MaxRecordBytes = cmp.Or(o.MaxRecordBytes, 2<<20)
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	o.Calls = cmp.Or(o.Calls, 64)
	bad := func(option, reason string, args ...any) (Options, error) {
		return o, &OptionError{Package: "nats", Option: option, Reason: fmt.Sprintf(reason, args...)}
	}
	switch {
	case !buckets.MatchString(o.Bucket):
		return bad("Bucket", "is %q: give 1 to 64 of the characters A-Z a-z 0-9 _ -", o.Bucket)
	case o.MaxBytes < 1<<20:
		return bad("MaxBytes", "is %d: give 1 MiB at least", o.MaxBytes)
	case o.Replicas < 0 || o.Replicas > 5:
		return bad("Replicas", "is %d: give 1 to 5", o.Replicas)
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > 256<<20:
		return bad("MaxRecordBytes", "is %d: give at most 256 MiB", o.MaxRecordBytes)
	case o.Timeout < 0:
		return bad("Timeout", "is %v: give a positive one", o.Timeout)
	case o.Calls < 0 || o.Calls > 10_000:
		return bad("Calls", "is %d: give 1 to 10000", o.Calls)
	}
	return o, nil
}

// A Store is a [store.Store] in a bucket of NATS JetStream. It is a [store.MultiGetter], [store.Ranger], [store.Clearer] and [store.Notifier] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	opt   Options
	id    string        // of this instance, by which it knows the changes that it made itself
	own   bool          // Open makes the connection
	slots chan struct{} // a token for each call that runs

	connected chan struct{} // closed when conn and connErr are set, and not before
	conn      *natsgo.Conn
	connErr   error

	mu     sync.Mutex // guards the fields below; it is held over no I/O
	bucket *bucket    // nil until it has been found or made, and after it has gone
	closed bool

	room      room
	listeners listenerSet
}

// bucket is a bucket as the server described it.
type bucket struct {
	jetstream.Stream
	js       jetstream.JetStream
	ttl      bool  // messages may have a time to live
	evicts   bool  // the oldest message goes when the bucket is full
	maxBytes int64 // 0 for no bound
	message  int   // the longest value
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Notifier
} = (*Store)(nil)

// New returns a store over a connection that the program has, which [Store.Close] leaves open. Calls end with their context whatever the connection's options are.
func New(conn *natsgo.Conn, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, &OptionError{Package: "nats", Option: "conn", Reason: "is nil: give a connection"}
	}
	s := newStore(o)
	s.conn = conn
	close(s.connected)
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{opt: o, id: rand.Text(), slots: make(chan struct{}, o.Calls), connected: make(chan struct{})}
	s.listeners.store = s
	return s
}

// connect connects to the servers, in the background, and again whenever the connection is lost. Until then calls wait, as long as their context says.
func (s *Store) connect(servers string) {
	options := append([]natsgo.Option{
		natsgo.Name("ply"),
		natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1), natsgo.ReconnectWait(100 * time.Millisecond), natsgo.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		natsgo.ReconnectBufSize(-1), // a call without a connection fails at once
		natsgo.Timeout(s.opt.Timeout), natsgo.FlusherTimeout(s.opt.Timeout),
		natsgo.PingInterval(2 * time.Second), natsgo.MaxPingsOutstanding(2),
		natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}), // a store has no log: calls return what they meet
	}, s.opt.Connect...)
	conn, err := natsgo.Connect(servers, options...)
	if err != nil { // the options contradict each other, or a server refuses the user: what it says may quote the URL
		err = errConnect
	}
	s.mu.Lock()
	s.conn, s.connErr = conn, err
	close(s.connected)
	closed := s.closed
	s.mu.Unlock()
	if closed && conn != nil {
		conn.Close()
	}
}

var (
	errConnect = errors.New("the connection cannot be made: check the servers, the user and the options of the connection")
	errClosed  = errors.New("the store is closed")
)

// Ping returns nil if the server answers and the bucket is there, or could be made. The cache does not need it: a store whose server is away counts as empty.
func (s *Store) Ping(ctx context.Context) error {
	_, err := call(s, ctx, func(ctx context.Context, b *bucket) (struct{}, error) {
		_, err := b.Info(ctx)
		return struct{}{}, err
	})
	return wrap("ping", err)
}

// Close ends the calls of [Store.Notify]'s listeners, and the connection if [Open] made it. Calling it again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.listeners.close()
	if !s.own {
		return nil
	}
	select {
	case <-s.connected:
		if s.conn != nil {
			s.conn.Close()
		}
	default: // connect sees that the store is closed
	}
	return nil
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("nats: %s: %w", op, err)
}
