// Inspect serves the live page of a client that keeps calling a server which it starts itself: hits and misses, retries, redirects, streams and errors.
//
//	go run ./examples/inspect             and open http://127.0.0.1:7117
//	go run ./examples/inspect URL…        calls your own instead
//	go run ./examples/inspect -addr 127.0.0.1:0 -once
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:7117", "where the page is served")
	once := flag.Bool("once", false, "make each call once, print what the page would show, and end")
	flag.Parse()
	if err := run(ctx, os.Stdout, *addr, *once, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "inspect:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, addr string, once bool, urls []string) error {
	base, stop, err := startOrigin()
	if err != nil {
		return err
	}
	defer stop()
	c, err := cache.New(cache.Options{Tags: cache.SurrogateKey})
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := inspect.New(inspect.Options{Cache: c})
	if err != nil {
		return err
	}
	defer in.Close()
	client, err := ply.New(ply.Options{
		BaseURL:  base,
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use:      []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{Backoff: retry.Constant(20 * time.Millisecond)})},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	page := &http.Server{Handler: in, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- page.Serve(listener) }()
	defer func() {
		in.Close() // ends the streams of pages that are open, which Shutdown would wait for
		page.Close()
	}()
	if once {
		tour(ctx, client, urls)
		return report(ctx, out, "http://"+listener.Addr().String())
	}
	fmt.Fprintf(out, "http://%s shows what the client does; Ctrl-C ends it\n", listener.Addr())
	for ctx.Err() == nil {
		tour(ctx, client, urls)
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// tour makes each kind of call that the page has a colour for, or those of the user.
func tour(ctx context.Context, client *ply.Client, urls []string) {
	for _, url := range urls {
		_ = ply.Discard(client.Get(ctx, url)) // what came of it is on the page
	}
	if len(urls) > 0 {
		return
	}
	for _, path := range []string{"/users/7", "/users/7", "/news", "/news", "/private", "/flaky", "/old", "/feed", "/down", "/report?token=secret"} {
		// The page shows what came of each call, errors included.
		_ = ply.Discard(client.Get(ctx, path))
	}
	_ = ply.Discard(client.Post(ctx, "/users", ply.BodyJSON(map[string]string{"name": "Ada", "password": "secret"})))
}

type shownCall struct {
	ID                           int
	Method, URL, Outcome, Reason string
	Status, Attempts             int
	Why                          []struct{ Layer, Text, Section string }
}

// report prints what the page shows: the list, and why three of the calls came out as they did.
func report(ctx context.Context, out io.Writer, page string) error {
	shown, err := fetch[struct{ Calls []shownCall }](ctx, page+"/calls")
	if err != nil {
		return err
	}
	for _, c := range shown.Calls {
		line := fmt.Sprintf("%-4s %-22s %3d  %-11s requests: %d  %s", c.Method, pathOf(c.URL), c.Status, c.Outcome, c.Attempts, c.Reason)
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	for _, c := range shown.Calls {
		switch path := pathOf(c.URL); path {
		case "/private", "/down", "/news":
			one, err := fetch[shownCall](ctx, fmt.Sprintf("%s/calls/%d", page, c.ID))
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "\nwhy %s %s\n", path, c.Outcome)
			for _, w := range one.Why {
				fmt.Fprintf(out, "  %s: %s %s\n", w.Layer, w.Text, w.Section)
			}
		}
	}
	return nil
}

func fetch[T any](ctx context.Context, url string) (v T, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return v, err
	}
	return ply.JSON[T](http.DefaultClient.Do(req))
}
