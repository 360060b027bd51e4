// Stack makes a few calls through all layers, and prints the record of each.
//
//	go run ./examples/stack          to a server in trouble that it starts itself
//	go run ./examples/stack URL…     to your own, without credentials
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/logging"
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
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	origin := startOrigin()
	defer origin.Close()
	store, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	var log bytes.Buffer
	timeouts := ply.Timeouts{Total: 30 * time.Second} // no layer has one: a server that is silent for ever would be waited for as long
	client, err := ply.New(ply.Options{BaseURL: origin.URL, Timeouts: timeouts, Use: append([]ply.Middleware{
		logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}),
		auth.New(auth.Options{Source: auth.SourceFunc(newToken), Origins: []string{origin.URL}}), // no other server gets the token
		decode.New(decode.Options{}),
		store.Middleware,
	}, resilience.Standard(resilience.Options{ // the zero Options would do: these are for a tour of two seconds
		Retry:   retry.Options{Backoff: retry.Constant(10 * time.Millisecond)},
		Hedge:   hedge.Options{Delay: 450 * time.Millisecond},
		Breaker: breaker.Options{MinRequests: 6, FailureRate: 0.5},
		Limit:   limit.Options{Rate: 5, Burst: 1, InFlight: 10},
	})...)})
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintf(out, "layers: %s\n", strings.Join(names(client), " → "))
	if len(urls) == 0 {
		urls = tour
	}
	for _, url := range urls {
		ctx := ply.WithCallInfo(ctx)
		text, err := ply.Text(client.Get(ctx, url))
		info, _ := ply.CallInfoFromContext(ctx)
		fmt.Fprintf(out, "\n%s\nthe caller has %d bytes and the error %v; %.0f requests\n", info, len(text), err, info.Amplification)
	}
	fmt.Fprintf(out, "\nthe log:\n%s", &log)
	return nil
}

func names(client *ply.Client) (names []string) {
	for _, l := range ply.Layers(client) {
		names = append(names, l.String())
	}
	return names
}
