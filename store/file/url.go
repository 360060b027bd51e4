package file

import (
	"context"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "file") }

// openURL opens the directory of a URL such as file:///var/cache/app?max_bytes=512MiB&sync=true.
func openURL(_ context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("file", u)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Bool("sync", &o.Sync)
	if err := options.Err(); err != nil {
		return nil, err
	}
	dir, err := storeurl.Path("file", u)
	if err != nil {
		return nil, err
	}
	s, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
