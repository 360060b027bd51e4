package nats

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() {
	store.Register(func(_ context.Context, u *url.URL) (store.Closer, error) {
		s, err := openURL(u, Options{})
		if err != nil {
			return nil, err
		}
		return s, nil
	}, "nats", "tls")
}

// What the parser says of a URL may quote a part of it, such as the password.
var errURL = errors.New(`nats: the URL is not understood; it must be like "nats://user:password@host1:4222,host2:4222?bucket=app", or "tls://…" for connections with TLS`)

// Open returns a store in a bucket of the NATS servers that a URL names:
//
//	nats://user:password@host1:4222,host2:4222    some servers of one cluster; without a user if it needs none; nats://token@host with a token
//	tls://host1:4222                              the same with TLS
//
// The query may have bucket, max_bytes, memory, replicas, max_record_bytes, timeout and calls, which are [Options]. Open does not wait for a connection:
// it is made in the background, and again whenever it is lost; see [Store.Ping].
func Open(rawURL string, o Options) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errURL
	}
	return openURL(u, o)
}

func openURL(u *url.URL, o Options) (*Store, error) {
	record := int64(o.MaxRecordBytes)
	options := storeurl.Take("nats", u)
	options.String("bucket", &o.Bucket)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Bool("memory", &o.Memory)
	options.Int("replicas", &o.Replicas)
	options.Bytes("max_record_bytes", &record)
	options.Duration("timeout", &o.Timeout)
	options.Int("calls", &o.Calls)
	if err := options.Err(); err != nil {
		return nil, err
	}
	o.MaxRecordBytes = int(record)
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errURL
	}
	var servers []string
	for host := range strings.SplitSeq(u.Host, ",") {
		if host == "" {
			return nil, errURL
		}
		servers = append(servers, (&url.URL{Scheme: u.Scheme, User: u.User, Host: host}).String())
	}
	s := newStore(o)
	s.own = true
	go s.connect(strings.Join(servers, ",")) // ends when the first attempt does; nats.go makes the others
	return s, nil
}
