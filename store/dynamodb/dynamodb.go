package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"

	"github.com/plyhttp/ply/store"
)

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Region is the AWS region of the table. Zero means the one of the environment or of the shared configuration (AWS_REGION, ~/.aws/config). Only for [Open].
	Region string

	// Endpoint is the URL of a server that speaks DynamoDB's protocol, such as http://127.0.0.1:8000. Zero means AWS. Only for [Open].
	Endpoint string

	// Namespace is what the ids in the table begin with, followed by a colon. Caches with different namespaces share a table without sharing a record.
	// It has 1 to 64 characters of the set [A-Za-z0-9_.-]. Zero means "ply".
	Namespace string

	// TTL is for how long DynamoDB keeps a record at most, also one that expires later or never. Together with what is written in that time it bounds the table.
	// Zero means 30 days.
	TTL time.Duration

	// MaxRecordBytes bounds the records that the store writes and reads. Zero means 2 MiB, which is what the cache needs.
	MaxRecordBytes int

	// EventuallyConsistent has reads cost half as much. A Get may then miss what was put in the second before, so that an invalidation may take effect that much later.
	// Zero means consistent reads.
	EventuallyConsistent bool

	// CreateTable has the store create the table, in the background, when a call finds that there is none; see [Store.CreateTable].
	// Until the table is active, which takes some seconds, calls return errors. It needs the right to do so, which a program in production need not have.
	// Zero means that calls return errors until the table is there.
	CreateTable bool

	// Timeout is the longest that one call to DynamoDB may take if its context has more time, retries included. Zero means two seconds. The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of connections at most. Further calls wait until their context is done. Zero means 64. Only for [Open].
	Connections int
}

var (
	namespaces = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	tables     = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
)

// checked returns the options with their defaults.
func (o Options) checked(table string) (Options, error) {
	setDefault(&o.Namespace, "ply")
	setDefault(&o.TTL, 30*24*time.Hour)
	setDefault(&o.MaxRecordBytes, 2<<20)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.Connections, 64)
	switch {
	case !tables.MatchString(table):
		return o, errors.New("dynamodb: the name of the table must be 3 to 255 of the characters A-Z a-z 0-9 _ . -")
	case !namespaces.MatchString(o.Namespace):
		return o, fmt.Errorf("dynamodb: Options.Namespace is %q; it must be 1 to 64 of the characters A-Z a-z 0-9 _ . -", o.Namespace)
	case o.TTL < time.Second:
		return o, fmt.Errorf("dynamodb: Options.TTL is %v; it must be a second or more", o.TTL)
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > 16<<20:
		return o, fmt.Errorf("dynamodb: Options.MaxRecordBytes is %d; it must be at most 16 MiB", o.MaxRecordBytes)
	case o.Timeout < 0:
		return o, fmt.Errorf("dynamodb: Options.Timeout is %v; it must not be negative", o.Timeout)
	case o.Connections < 0 || o.Connections > 10_000:
		return o, fmt.Errorf("dynamodb: Options.Connections is %d; it must be 1 to 10000", o.Connections)
	}
	return o, checkEndpoint(o.Endpoint)
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("dynamodb: Options.Endpoint must be a URL such as http://127.0.0.1:8000, without a user, a query and a fragment")
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A Store is a [store.Store] in a table of DynamoDB. It is a [store.MultiGetter], [store.Ranger], [store.Clearer] and [store.Expirer] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	client *dynamodb.Client
	table  string
	prefix string // of ids
	opt    Options
	call   func(*dynamodb.Options) // how each call is retried

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // the goroutine that creates the table

	mu       sync.Mutex // guards the fields below
	creating bool
	closed   bool
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Expirer
} = (*Store)(nil)

// Open returns a store in a table. Credentials come from where the AWS SDK finds them: the environment, the shared configuration, the role of the machine or container.
// It connects to nothing yet; see [Store.Ping]. ctx bounds the reading of the configuration.
//
// [store.OpenURL] takes dynamodb://TABLE, with a query that may have region, endpoint, namespace, ttl, eventually_consistent, create_table, timeout and connections, which are Options.
func Open(ctx context.Context, table string, o Options) (*Store, error) {
	o, err := o.checked(table)
	if err != nil {
		return nil, err
	}
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = o.Connections, o.Connections, o.Connections
	})
	load := []func(*config.LoadOptions) error{config.WithHTTPClient(transport), config.WithLogger(logging.Nop{})} // the cache counts errors
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, errors.New("dynamodb: the configuration of AWS cannot be read: look at ~/.aws and at the variables AWS_*") // the error may quote it
	}
	if c.Region == "" {
		return nil, errors.New("dynamodb: no region is known: set Options.Region or AWS_REGION")
	}
	client := dynamodb.NewFromConfig(c, func(d *dynamodb.Options) {
		if o.Endpoint != "" {
			d.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return newStore(client, table, o), nil
}

// New returns a store that uses a client which the program has. How calls are retried is the store's own choice, whatever the client's options are.
func New(client *dynamodb.Client, table string, o Options) (*Store, error) {
	o, err := o.checked(table)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("dynamodb: the client is nil")
	}
	return newStore(client, table, o), nil
}

func newStore(client *dynamodb.Client, table string, o Options) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	retryer := newRetryer()
	return &Store{
		client: client, table: table, prefix: o.Namespace + ":", opt: o, ctx: ctx, cancel: cancel,
		call: func(d *dynamodb.Options) { d.Retryer = retryer },
	}
}

// newRetryer tries a call twice within milliseconds, but not one that DynamoDB throttled:
// the cache goes on without the store, and a table at its limit needs fewer calls, not more.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = 2, 20*time.Millisecond
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.RetryableError{},
			retry.RetryableConnectionError{},
			retry.RetryableHTTPStatusCode{Codes: retry.DefaultRetryableHTTPStatusCodes},
			retry.RetryableErrorCode{Codes: retry.DefaultRetryableErrorCodes},
		}
	})
}

// Close ends what the store does in the background. Calling it again does nothing. A client that was given to [New] stays usable.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	return nil
}
