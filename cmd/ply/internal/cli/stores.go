package cli

import (
	"context"
	"strings"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"

	// The stores that --cache opens by their URL. Those of S3, DynamoDB, MongoDB and NATS are left out: their drivers would double the size of the program.
	_ "github.com/plyhttp/ply/store/memcached"
	_ "github.com/plyhttp/ply/store/postgres"
	_ "github.com/plyhttp/ply/store/redis"
	_ "github.com/plyhttp/ply/store/sqlite"
)

// storeNames says how a store is named on the command line.
const storeNames = "DIR, sqlite:FILE, redis://…, postgres://…, memcached://…, memory or none"

// noStore is the name for no cache at all.
const noStore = "none"

// openStore opens the store that name stands for: a directory, "memory", or a URL of [store.OpenURL]. An empty name is the user's cache directory.
// The caller closes the store.
func openStore(ctx context.Context, name string) (store.Closer, error) {
	switch scheme, _, isURL := strings.Cut(name, ":"); {
	case name == "":
		dir, err := file.UserCacheDir("ply")
		if err != nil {
			return nil, err
		}
		return openDir(dir)
	case name == "memory":
		return cache.NewMemory(cache.MemoryOptions{}), nil
	case isURL && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\.`): // C:\dir is a directory
		return store.OpenURL(ctx, name)
	}
	return openDir(name)
}

// openDir keeps a nil *file.Store from becoming a store that is not nil.
func openDir(dir string) (store.Closer, error) {
	s, err := file.Open(dir, file.Options{})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// completeCachedURL returns the URLs in a store on this machine that begin so. Those that a redactor would change may hold secrets and are left out.
func completeCachedURL(ctx context.Context, name, begun string) (urls []string) {
	if scheme, _, isURL := strings.Cut(name, ":"); name == noStore || isURL && scheme != "sqlite" && scheme != "file" {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	s, err := openStore(ctx, name)
	if err != nil {
		return nil
	}
	defer s.Close()
	c, err := cache.New(cache.Options{Store: s})
	if err != nil {
		return nil
	}
	defer c.Close()
	for u := range c.URLs(ctx) {
		if strings.HasPrefix(u, begun) && redact.URLText(u) == u {
			urls = append(urls, u)
		}
	}
	return urls
}
