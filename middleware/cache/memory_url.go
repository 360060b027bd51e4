package cache

import (
	"context"
	"fmt"
	"net/url"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openMemory, "memory") }

// openMemory makes the memory of a URL such as memory:?max_bytes=256MiB&max_entries=10000.
func openMemory(_ context.Context, u *url.URL) (store.Closer, error) {
	var o MemoryOptions
	options := storeurl.Take("cache", u)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Int("max_entries", &o.MaxEntries)
	if err := options.Err(); err != nil {
		return nil, err
	}
	if u.Host != "" || u.Path != "" || u.Opaque != "" || u.User != nil {
		return nil, fmt.Errorf("cache: a memory URL has options only: memory:?max_bytes=256MiB")
	}
	return NewMemory(o), nil
}
