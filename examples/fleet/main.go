// Fleet has five servers share one cache in Redis, and five in PostgreSQL: one request to the origin for all, tags that remove a response everywhere,
// and answers that go on when the store is gone.
//
//	go run ./examples/fleet                            starts a redis-server and a PostgreSQL, as far as they are on this machine
//	go run ./examples/fleet redis://HOST:6379 …        uses stores of yours: redis://, postgres://
//
// Each member of the fleet stands for a process: it has connections, a memory and a client of its own. In main.go is a member,
// in tour.go what the fleet does, and servers.go starts the stores.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"

	_ "github.com/plyhttp/ply/store/postgres" // registers postgres://
	_ "github.com/plyhttp/ply/store/redis"    // registers redis://
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	for _, url := range urls {
		fmt.Fprintln(out, "a store of yours")
		if err := tour(ctx, out, url, nil); err != nil {
			return err
		}
	}
	if len(urls) > 0 {
		return nil
	}
	for _, s := range []struct {
		name  string
		start func(context.Context) (url string, stop func() error, err error)
	}{{"Redis", startRedis}, {"PostgreSQL", startPostgres}} {
		url, stop, err := s.start(ctx)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintf(out, "%s is not on this machine\n", s.name)
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, s.name)
		if err := errors.Join(tour(ctx, out, url, stop), stop()); err != nil {
			return err
		}
	}
	return nil
}

// A member is one process of the fleet, as far as HTTP goes.
type member struct {
	store  store.Closer
	cache  *cache.Cache
	client *ply.Client
}

// join makes a member. The URL of the store comes from the program's configuration.
func join(ctx context.Context, storeURL, origin string) (*member, error) {
	shared, err := store.OpenURL(ctx, storeURL) // connects when it is needed: a process starts while the store is down
	if err != nil {
		return nil, err
	}
	m := &member{store: shared}
	m.cache, err = cache.New(cache.Options{
		// What this process asks for often is in its memory; the store says when that is true no more.
		Store: cache.Tiered(cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20}), shared),
		// One process asks the origin, and the others wait for what it stores, for so long at most.
		Lease: 10 * time.Second,
		// The origin names what a response is made of, in Surrogate-Key: DeleteTag removes all that is made of one thing.
		Tags: cache.SurrogateKey,
		// Zero is 100 ms, which is meant for production. The machine of an example may be busy.
		StoreTimeout: 5 * time.Second,
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.client, err = ply.New(ply.Options{
		BaseURL:  origin,
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use:      []ply.Middleware{m.cache.Middleware},
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close ends the member, the store last.
func (m *member) Close() (err error) {
	if m.client != nil {
		err = m.client.Close()
	}
	if m.cache != nil {
		err = errors.Join(err, m.cache.Close())
	}
	return errors.Join(err, m.store.Close())
}

// newOrigin starts the server that the fleet asks: it has prices, and counts requests.
func newOrigin() (*origin, *httptest.Server) {
	o := new(origin)
	return o, httptest.NewServer(http.HandlerFunc(o.serve))
}
