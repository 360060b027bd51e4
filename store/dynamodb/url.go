package dynamodb

import (
	"context"
	"errors"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "dynamodb") }

// openURL opens the table of a URL such as dynamodb://cache?region=eu-west-1&namespace=app.
func openURL(ctx context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("dynamodb", u)
	options.String("region", &o.Region)
	options.String("endpoint", &o.Endpoint)
	options.String("namespace", &o.Namespace)
	options.Duration("ttl", &o.TTL)
	options.Bool("eventually_consistent", &o.EventuallyConsistent)
	options.Bool("create_table", &o.CreateTable)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	if err := options.Err(); err != nil {
		return nil, err
	}
	if u.User != nil || u.Opaque != "" || u.Port() != "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errors.New("dynamodb: the URL must be dynamodb://TABLE, with options in its query: credentials are what the AWS SDK finds")
	}
	s, err := Open(ctx, u.Hostname(), o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
