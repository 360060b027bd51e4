package redis

import (
	"context"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() {
	store.Register(openURL, "redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
}

// openURL opens the Redis of a URL such as redis://host:6379/0?namespace=app&timeout=500ms. What is not of Options is for go-redis to read.
func openURL(_ context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("redis", u)
	options.String("namespace", &o.Namespace)
	options.Duration("ttl", &o.TTL)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	u.RawQuery = options.Rest()
	if err := options.Err(); err != nil {
		return nil, err
	}
	s, err := Open(u.String(), o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
