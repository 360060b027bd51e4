package mongodb

import (
	"context"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "mongodb", "mongodb+srv") }

// openURL opens the MongoDB of a URL such as mongodb://host:27017/app?max_bytes=10GiB. What is not of Options is for the driver to read.
func openURL(ctx context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("mongodb", u)
	options.String("collection", &o.Collection)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Bool("journal", &o.Journal)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	u.RawQuery = options.Rest()
	if err := options.Err(); err != nil {
		return nil, err
	}
	if u.Path == "" && u.RawQuery != "" {
		u.Path = "/" // which the driver wants
	}
	s, err := Open(ctx, u.String(), o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
