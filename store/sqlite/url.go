package sqlite

import (
	"context"
	"errors"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "sqlite") }

// openURL opens the file of a URL such as sqlite:///var/cache/app/cache.db?max_bytes=512MiB&sync=off.
func openURL(_ context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	var sync string
	options := storeurl.Take("sqlite", u)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Duration("orphan_age", &o.OrphanAge)
	options.String("sync", &sync)
	if err := options.Err(); err != nil {
		return nil, err
	}
	switch sync {
	case "", "normal":
	case "off":
		o.Sync = SyncOff
	case "full":
		o.Sync = SyncFull
	default:
		return nil, errors.New("sqlite: sync in the URL must be normal, off or full")
	}
	path, err := storeurl.Path("sqlite", u)
	if err != nil {
		return nil, err
	}
	s, err := Open(path, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
