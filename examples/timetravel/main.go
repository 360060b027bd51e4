// Timetravel replays a week of traffic, 10,000 requests, under three policies in virtual time, and prints what each would have done.
//
//	go run ./examples/timetravel
//
// The traffic is made up, always the same.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, 10_000); err != nil {
		fmt.Fprintln(os.Stderr, "timetravel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, requests int) error {
	table, err := tape.Compare(ctx, traffic.Week(1, requests), policies...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, table)
	return err
}

var policies = []tape.ReplayOptions{
	{Name: "no cache"},
	{Name: "cache", Chain: func(origin http.RoundTripper) (http.RoundTripper, error) {
		c, err := cache.New(cache.Options{})
		if err != nil {
			return nil, err
		}
		return chain{c.Middleware(origin), c}, nil
	}},
	{Name: "cache, stale-if-error, retry, hedge", Chain: func(origin http.RoundTripper) (http.RoundTripper, error) {
		c, err := cache.New(cache.Options{StaleIfError: 24 * time.Hour})
		if err != nil {
			return nil, err
		}
		both := new(budget.Budget) // retries and hedges are paid from one account
		h, err := hedge.New(hedge.Options{Delay: 400 * time.Millisecond, Budget: both.For(budget.Hedge)})
		if err != nil {
			return nil, err
		}
		again := retry.New(retry.Options{Budget: both, Backoff: retry.Exponential(100*time.Millisecond, 2*time.Second)}) // without jitter: what is left of chance is the tenth that retry adds to Retry-After
		return chain{c.Middleware(again(h.Middleware(origin))), c}, nil
	}},
}

// A chain ends with its cache.
type chain struct {
	http.RoundTripper
	io.Closer
}
