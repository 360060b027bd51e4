package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Options are the settings of a [Store]. The zero value is good for Amazon S3.
type Options struct {
	// Prefix is what the names of the objects begin with, followed by a slash. Caches with different prefixes share a bucket without sharing a record.
	// It is one or more words of the characters [A-Za-z0-9_.-], with slashes between them, and of at most 200 bytes. Zero means "ply".
	Prefix string

	// Region is the region of the bucket. Zero means what the SDK finds in the environment (AWS_REGION) and its files;
	// with an Endpoint and no region there, "us-east-1", which is what most other servers want.
	Region string

	// Profile is the profile of the SDK's shared configuration files to use. Zero means AWS_PROFILE, or "default".
	Profile string

	// Endpoint is the address of a server other than Amazon's, such as "https://minio.internal:9000". It has neither credentials nor a query.
	// Zero means Amazon S3, or what the SDK finds in AWS_ENDPOINT_URL_S3.
	Endpoint string

	// PathStyle puts the bucket into the path of a URL and not into its host, as most servers other than Amazon's need. Zero means into the host.
	PathStyle bool

	// Credentials sign the requests. Zero means the SDK's chain: the environment, the shared files, the roles of containers and machines.
	// [aws.AnonymousCredentials] sends none.
	Credentials aws.CredentialsProvider

	// TLS is for connections that [Open] makes to https endpoints. Zero means the system's roots and TLS 1.2.
	TLS *tls.Config

	// KMSKey is the key of AWS KMS that new objects are encrypted with (SSE-KMS). Zero means what the bucket does by default.
	KMSKey string

	// MaxRecordBytes bounds the records that the store writes and reads. A larger one is never read into memory.
	// Zero means 2 MiB, which is what the cache needs. It is at most 64 MiB.
	MaxRecordBytes int

	// Timeout is the longest that one request to the server may take, if its context has more time, connecting and reading included. Zero means five seconds.
	// The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of requests that may be under way at once. Others wait until their context is done. Zero means 64.
	Connections int
}

// An OptionError is returned for an option that cannot be carried out.
type OptionError = optionerror.Error

var (
	prefixes  = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}(/[A-Za-z0-9_.-]{1,200})*$`)
	dotted    = regexp.MustCompile(`(^|/)\.+(/|$)`)
	buckets   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{1,200}$`) // a name, or the ARN of an access point
	maxRecord = 64 << 20
)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	setDefault(&o.Prefix, "ply")
	setDefault(&o.MaxRecordBytes, 2<<20)
	setDefault(&o.Timeout, 5*time.Second)
	setDefault(&o.Connections, 64)
	switch {
	case len(o.Prefix) > 200 || !prefixes.MatchString(o.Prefix) || dotted.MatchString(o.Prefix):
		return o, wrong("Prefix", fmt.Sprintf("is %.220q: give words of the characters A-Z a-z 0-9 _ . - with slashes between them, and at most 200 bytes", o.Prefix))
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > maxRecord:
		return o, wrong("MaxRecordBytes", fmt.Sprintf("is %d: give at most 64 MiB", o.MaxRecordBytes))
	case o.Timeout < 0:
		return o, wrong("Timeout", fmt.Sprintf("is negative (%v): give zero for five seconds", o.Timeout))
	case o.Connections < 0 || o.Connections > 10_000:
		return o, wrong("Connections", fmt.Sprintf("is %d: give 1 to 10000", o.Connections))
	}
	return o, nil
}

func wrong(option, reason string) error {
	return &OptionError{Package: "s3", Option: "Options." + option, Reason: reason}
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A Store is a [store.Store] in a bucket. It is a [store.MultiGetter], [store.Ranger], [store.Clearer], [store.Expirer] and [store.Sizer] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	client  *awss3.Client
	idle    *http.Transport // of the client that Open made, or nil
	bucket  string
	prefix  string // with its slash
	opt     Options
	retryer aws.Retryer
	slots   chan struct{} // a token for each request under way

	mu    sync.Mutex // guards swept
	swept string     // the key that an unfinished DeleteExpired got to
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Ranger
	store.Clearer
	store.Expirer
	store.Sizer
} = (*Store)(nil)

// New returns a store in a bucket, through a client that the program has. Of the options it ignores those that are about the client:
// Region, Profile, Endpoint, PathStyle, Credentials and TLS. The client's retries and checksums do not apply to the store's requests; see [Open].
func New(client *awss3.Client, bucket string, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("s3: the client is nil: make one with NewFromConfig of service/s3, or use Open")
	}
	return newStore(client, nil, bucket, o)
}

func newStore(client *awss3.Client, idle *http.Transport, bucket string, o Options) (*Store, error) {
	if !buckets.MatchString(bucket) {
		return nil, fmt.Errorf("s3: the bucket %.100q is no name of a bucket", bucket)
	}
	return &Store{
		client: client, idle: idle, bucket: bucket, prefix: o.Prefix + "/", opt: o,
		retryer: retryer(), slots: make(chan struct{}, o.Connections),
	}, nil
}

// retryer tries a request a second time, soon, if its connection failed, as one does that was idle for too long, if the server had an internal error, and if the clocks differ.
// A server that wants less to do (503) gets less to do: the cache goes on without it.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.MaxBackoff = 20 * time.Millisecond
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{}, retry.RetryableError{}, retry.RetryableConnectionError{},
			retry.RetryableErrorCode{Codes: map[string]struct{}{"InternalError": {}, "RequestTimeout": {}}},
		}
	})
}

// configure makes a client's options those of the store's requests. Records have checksums of their own, and not every server takes those of the SDK.
func (s *Store) configure(o *awss3.Options) {
	o.Retryer = s.retryer
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.DisableLogOutputChecksumValidationSkipped = true
}

// Close closes the idle connections of the client that [Open] made. Calls that are under way go on. Calling it again does nothing.
func (s *Store) Close() error {
	if s.idle != nil {
		s.idle.CloseIdleConnections()
	}
	return nil
}

// Ping returns nil if the bucket can be read, written and listed, and if the server heeds the conditions that the store relies on. It takes seven requests,
// and leaves nothing behind. The cache does not need it: a store whose server is away counts as empty. But a server that ignores
// If-None-Match or If-Match of a PUT, as some that call themselves compatible do, must not be used, and only Ping finds that out.
func (s *Store) Ping(ctx context.Context) error {
	return fail("ping", s.ping(ctx))
}

func (s *Store) ping(ctx context.Context) error {
	name := s.prefix + "ping-" + newNonce() // no name of a record
	defer s.remove(context.WithoutCancel(ctx), name, "")
	if err := s.write(ctx, name, []byte("one"), ""); err != nil {
		return err
	}
	if err := s.write(ctx, name, []byte("two"), ""); !errors.Is(err, errPrecondition) {
		return ignores(err, "If-None-Match of a PUT: a cache in it would lose updates. Use another server")
	}
	first, err := s.fetch(ctx, name, "", 16)
	if err != nil {
		return err
	}
	if string(first.value) != "one" {
		return errors.New("what was written is not what is read: use another server")
	}
	if err := s.write(ctx, name, []byte("three"), first.etag); err != nil {
		return err
	}
	if err := s.write(ctx, name, []byte("four"), first.etag); !errors.Is(err, errPrecondition) {
		return ignores(err, "If-Match of a PUT: a cache in it would lose updates. Use another server")
	}
	return s.list(ctx, 1, "", func([]item) (bool, error) { return false, nil })
}

func ignores(err error, what string) error {
	if err != nil {
		return err
	}
	return errors.New("the server ignores " + what)
}

// name returns the name of the object of a key. The suffix keeps the key from being a name that means something to file systems: servers make paths of names,
// and "." and ".." are keys.
func (s *Store) name(key string) string { return s.prefix + key + suffix }

const suffix = ".ply"

// key returns the key of an object with this name, or "" if it is none of ours.
func (s *Store) key(name string) string {
	key, ok := strings.CutPrefix(name, s.prefix)
	if !ok {
		return ""
	}
	key, ok = strings.CutSuffix(key, suffix)
	if !ok || !storetext.ValidKey(key) {
		return ""
	}
	return key
}
