package memcached

import (
	"context"
	"crypto/tls"
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
	}, "memcached")
}

// What the parser says of a URL may quote a part of it.
var errURL = errors.New(`memcached: the URL is not understood; it must be like "memcached://host1:11211,host2:11211?namespace=app" or "memcached:///run/memcached.sock"`)

// Open returns a store on the servers that a URL names:
//
//	memcached://host1:11211,host2:11211    all servers; with their ports, or all without, which is 11211
//	memcached:///run/memcached.sock        a server on this machine
//
// The query may have namespace, max_item_bytes, max_record_bytes, timeout and connections, which are [Options], and tls=true, with the system's roots.
// More than one IPv6 address does not fit into a URL: use [New]. Open connects to no server yet; see [Store.Ping].
func Open(rawURL string, o Options) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "memcached" {
		return nil, errURL
	}
	return openURL(u, o)
}

func openURL(u *url.URL, o Options) (*Store, error) {
	var secure bool
	item, record := int64(o.MaxItemBytes), int64(o.MaxRecordBytes)
	options := storeurl.Take("memcached", u)
	options.String("namespace", &o.Namespace)
	options.Bytes("max_item_bytes", &item)
	options.Bytes("max_record_bytes", &record)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	options.Bool("tls", &secure)
	if err := options.Err(); err != nil {
		return nil, err
	}
	if o.MaxItemBytes, o.MaxRecordBytes = int(item), int(record); secure && o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch {
	case u.User != nil:
		return nil, errors.New("memcached: the URL has a user, and the store cannot log in: protect the servers by their network, or by certificates of clients (Options.TLS)")
	case u.Fragment != "" || u.Opaque != "":
		return nil, errURL
	case u.Host == "" && len(u.Path) > 1:
		return New([]string{u.Path}, o)
	case u.Host == "" || strings.Trim(u.Path, "/") != "":
		return nil, errURL
	}
	return New(strings.Split(u.Host, ","), o)
}
