package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/plyhttp/ply/internal/parseerror"
	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() {
	store.Register(func(_ context.Context, u *url.URL) (store.Closer, error) {
		s, err := open(u, Options{})
		if err != nil {
			return nil, err
		}
		return s, nil
	}, "s3")
}

// Open returns a store in the bucket that rawURL says:
//
//	s3://bucket                      a bucket of Amazon S3, the prefix "ply"
//	s3://bucket/some/prefix          another prefix
//	s3://bucket?endpoint=http://minio.internal:9000&path_style=true&region=us-east-1
//	                                 another server
//
// The query may have region, profile, endpoint, path_style, anonymous, kms_key, max_record_bytes, timeout and connections.
// What the URL says goes before the options. It has no credentials: they are the environment's, or those of [Options].
//
// Open reads the SDK's configuration files and the environment, and connects to nothing yet; see [Store.Ping].
// A request whose connection fails is tried once more, at once, if its context has time; a cache must not wait for more. No other retries are made.
func Open(rawURL string, o Options) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("s3: the URL cannot be parsed: %s", parseerror.Reason(err, "REDACTED"))
	}
	return open(u, o)
}

// open changes u.
func open(u *url.URL, o Options) (*Store, error) {
	bucket, o, err := fromURL(u, o)
	if err != nil {
		return nil, err
	}
	if o, err = o.checked(); err != nil {
		return nil, err
	}
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	// Nothing of it asks the network, so that no context is needed.
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(o.Region), config.WithSharedConfigProfile(o.Profile))
	if err != nil {
		return nil, wrong("Profile", "the configuration of the SDK cannot be read: check AWS_PROFILE and the files in ~/.aws")
	}
	if cfg.Region == "" {
		if o.Endpoint == "" {
			return nil, wrong("Region", "is missing: give the bucket's region, or set AWS_REGION")
		}
		cfg.Region = "us-east-1"
	}
	cfg.Logger, cfg.ClientLogMode = logging.Nop{}, 0 // it would write to standard error what the errors say
	if o.Credentials != nil {
		cfg.Credentials = o.Credentials
	}
	transport := transport(o)
	client := awss3.NewFromConfig(cfg, func(c *awss3.Options) {
		c.HTTPClient = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		c.UsePathStyle = o.PathStyle
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return newStore(client, transport, bucket, o)
}

// fromURL returns the bucket of u, and the options with what u says.
func fromURL(u *url.URL, o Options) (bucket string, _ Options, err error) {
	var anonymous bool
	size := int64(o.MaxRecordBytes)
	options := storeurl.Take("s3", u)
	options.String("region", &o.Region)
	options.String("profile", &o.Profile)
	options.String("endpoint", &o.Endpoint)
	options.String("kms_key", &o.KMSKey)
	options.Bool("path_style", &o.PathStyle)
	options.Bool("anonymous", &anonymous)
	options.Bytes("max_record_bytes", &size)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	if err := options.Err(); err != nil {
		return "", o, err
	}
	switch {
	case u.Scheme != "s3" || u.Opaque != "" || u.Host == "":
		return "", o, errors.New("s3: the URL must be like s3://bucket/prefix")
	case u.User != nil:
		return "", o, errors.New("s3: the URL has credentials, which belong elsewhere: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or Options.Credentials")
	case u.Fragment != "":
		return "", o, errors.New("s3: the URL has a fragment: drop it")
	}
	o.MaxRecordBytes = int(min(size, int64(maxRecord)+1))
	if anonymous {
		o.Credentials = aws.AnonymousCredentials{}
	}
	o.Prefix = cmp.Or(strings.Trim(u.Path, "/"), o.Prefix)
	return u.Host, o, nil
}

// checkEndpoint refuses what the SDK would send requests to in another way than one expects. The error quotes nothing: there may be a password.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return wrong("Endpoint", "is no URL of a server: give one like https://minio.internal:9000")
	case u.User != nil:
		return wrong("Endpoint", "has credentials, which belong elsewhere: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or Options.Credentials")
	case u.RawQuery != "" || u.Fragment != "":
		return wrong("Endpoint", "has a query or a fragment: drop it")
	}
	return nil
}

func transport(o Options) *http.Transport {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		tlsConfig = o.TLS.Clone()
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: o.Timeout,
		MaxIdleConnsPerHost: o.Connections,
		MaxConnsPerHost:     2 * o.Connections, // a connection that is being set up for a call that was given up counts, too
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // records are read as they were written
	}
}
