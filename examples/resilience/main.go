// Resilience keeps a program going while a server is slow, down and overrun: hedging, a circuit breaker with stale answers in its place, limits.
//
//	go run ./examples/resilience          a server that it starts itself, and that gets into trouble
//	go run ./examples/resilience URL      50 calls at once to a server of yours, of which it gets eight at a time
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "resilience:", err)
		os.Exit(1)
	}
}

// openFor is how long an open breaker refuses everything. A program has the default, five seconds.
const openFor = 200 * time.Millisecond

// newClient makes the client. The transport is nil but in tests.
func newClient(base string, transport http.RoundTripper, out io.Writer) (client *ply.Client, end func(), err error) {
	c, err := cache.New(cache.Options{StaleIfError: time.Hour}) // also while the breaker is open
	if err != nil {
		return nil, nil, err
	}
	chain, err := resilience.New(resilience.Options{ // the zero Options are meant for production: what is set here makes a short tour
		Retry: retry.Options{Backoff: retry.Constant(5 * time.Millisecond)},
		Hedge: hedge.Options{Delay: 500 * time.Millisecond}, // zero: longer than 95 % of the requests take
		Breaker: breaker.Options{
			FailureRate: 0.5, OpenFor: openFor,
			OnChange: func(c breaker.Change) { fmt.Fprintf(out, "  breaker: %s\n", c.To) },
		},
		Limit: limit.Options{InFlight: 8}, // zero: as many as the server takes without getting slow
	})
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	client, err = ply.New(ply.Options{
		BaseURL:   base,
		Transport: transport,
		Timeouts:  ply.Timeouts{Total: 10 * time.Second}, // no layer has one: a server that is silent for ever would be waited for as long
		Use:       append([]ply.Middleware{c.Middleware}, chain.Layers()...),
	})
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return client, func() { client.Close(); c.Close() }, nil
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 {
		client, end, err := newClient("", nil, out)
		if err != nil {
			return err
		}
		defer end()
		fmt.Fprintln(out, atOnce(cache.Disable(ctx), client, args[0]))
		return ctx.Err()
	}
	s := new(server)
	listening := httptest.NewServer(s)
	defer listening.Close()
	return tour(ctx, out, s, listening.URL, nil)
}
