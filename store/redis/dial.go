package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// What the parser says of a URL may quote a part of it, such as the password.
var errURL = errors.New(`redis: the URL is not understood; it must be like "redis://user:password@host:6379/0", "unix:///path/redis.sock", ` +
	`"redis+cluster://host:6379?addr=host2:6379" or "redis+sentinel://host:26379?master_name=name", with special characters of the password percent-encoded`)

// refused returns the error for a URL that go-redis does not take. It names options that go-redis does not know,
// unless they may be a part of a password with a ? in it: then an @ stands behind the ?.
func refused(rawURL string, err error) error {
	names, ok := strings.CutPrefix(err.Error(), "redis: unexpected option: ")
	if _, query, _ := strings.Cut(rawURL, "?"); !ok || strings.Contains(query, "@") || strings.Contains(query, "%40") {
		return errURL
	}
	return fmt.Errorf("redis: the URL has options that neither the store nor go-redis knows: %q", strings.Split(names, ", "))
}

// dial returns a client for a URL. It connects when it is used.
func dial(rawURL string, o Options) (goredis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || strings.Contains(rest, "#") { // what is behind a # is no part of the server to go-redis: "redis://:12#34@host" is port 12 of this machine
		return nil, errURL
	}
	scheme, kind, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch scheme {
	case "redis", "rediss":
	case "unix":
		if kind != "" {
			return nil, errURL
		}
	default:
		return nil, errURL
	}
	switch rawURL = scheme + "://" + rest; kind {
	case "":
		return single(rawURL, o)
	case "cluster":
		return cluster(rawURL, o)
	case "sentinel":
		return sentinel(rawURL, o)
	}
	return nil, errURL
}

func single(rawURL string, o Options) (goredis.UniversalClient, error) {
	c, err := goredis.ParseURL(rawURL)
	if err != nil {
		return nil, refused(rawURL, err)
	}
	c.TLSConfig = tlsOf(c.TLSConfig, o)
	c.Dialer = o.dialer(c.TLSConfig)
	c.Protocol, c.MaintNotificationsConfig = 2, quiet()
	c.ContextTimeoutEnabled, c.DisableIdentity = true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	c.DialerRetries, c.MaxRetries, c.MinRetryBackoff, c.MaxRetryBackoff = 1, retries, minBackoff, maxBackoff
	c.PoolSize, c.MaxActiveConns = o.Connections, o.Connections
	return goredis.NewClient(c), nil
}

func cluster(rawURL string, o Options) (goredis.UniversalClient, error) {
	c, err := goredis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, refused(rawURL, err)
	}
	c.ReadOnly, c.RouteByLatency, c.RouteRandomly = false, false, false
	c.TLSConfig = tlsOf(c.TLSConfig, o)
	c.Dialer = o.dialer(c.TLSConfig)
	c.Protocol, c.MaintNotificationsConfig = 2, quiet()
	c.ContextTimeoutEnabled, c.DisableIdentity = true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	c.DialerRetries, c.MaxRetries, c.MinRetryBackoff, c.MaxRetryBackoff = 1, retries, minBackoff, maxBackoff
	c.PoolSize, c.MaxActiveConns = o.Connections, o.Connections
	return goredis.NewClusterClient(c), nil
}

func sentinel(rawURL string, o Options) (goredis.UniversalClient, error) {
	c, err := goredis.ParseFailoverURL(rawURL)
	if err != nil {
		return nil, refused(rawURL, err)
	}
	if c.MasterName == "" {
		return nil, errURL
	}
	c.ReplicaOnly, c.RouteByLatency, c.RouteRandomly = false, false, false
	c.TLSConfig = tlsOf(c.TLSConfig, o)
	c.Dialer = o.dialer(c.TLSConfig)
	c.Protocol = 2
	c.ContextTimeoutEnabled, c.DisableIdentity = true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	c.DialerRetries, c.MaxRetries, c.MinRetryBackoff, c.MaxRetryBackoff = 1, retries, minBackoff, maxBackoff
	c.PoolSize, c.MaxActiveConns = o.Connections, o.Connections
	return goredis.NewFailoverClient(c), nil
}

// One retry is for connections that died in the pool. A change that was made although its reply got lost is not made twice; see the script.
const (
	retries    = 1
	minBackoff = 2 * time.Millisecond
	maxBackoff = 20 * time.Millisecond
)

func quiet() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// tlsOf returns the TLS settings for a connection whose URL asks for TLS if parsed is not nil.
func tlsOf(parsed *tls.Config, o Options) *tls.Config {
	if parsed == nil || o.TLS == nil {
		return parsed
	}
	c := o.TLS.Clone()
	if c.ServerName == "" {
		c.ServerName = parsed.ServerName
	}
	return c
}

// dialer connects within the context, and bounds what a server may have the client allocate.
func (o Options) dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		d := &net.Dialer{KeepAlive: 15 * time.Second}
		var conn net.Conn
		var err error
		if config == nil {
			conn, err = d.DialContext(ctx, network, addr)
		} else {
			conn, err = (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, network, addr)
		}
		if err != nil {
			return nil, err
		}
		limited := &limitedConn{Conn: conn, limit: int64(o.MaxRecordBytes + maxHead + 64)}
		if raw, ok := conn.(syscall.Conn); ok { // lets the pool see that a connection is closed, or has more to read than it should
			return struct {
				*limitedConn
				syscall.Conn
			}{limited, raw}, nil
		}
		return limited, nil
	}
}

// redact removes what a URL in an error may say about credentials.
func redact(err error) error {
	if e := new(url.Error); errors.As(err, &e) {
		return e.Err
	}
	return err
}
