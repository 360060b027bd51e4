// Httpclient puts a cache into an *http.Client that a program has already.
//
//	go run ./examples/httpclient          against a small server that it starts itself
//	go run ./examples/httpclient URL      against your own
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "httpclient:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	url := ""
	if len(args) > 0 {
		url = args[0]
	} else {
		server := httptest.NewServer(http.HandlerFunc(serve))
		defer server.Close()
		url = server.URL
	}

	// The client that the program has: with a timeout, perhaps with a transport, a jar and a redirect policy of its own.
	hc := &http.Client{Timeout: 10 * time.Second}

	c, err := cache.New(cache.Options{}) // private, in memory, by RFC 9111
	if err != nil {
		return err
	}
	defer c.Close() // ends the cache's refreshes in the background

	// One line. Wrap returns a copy: hc stays as it is, and both share connections and cookies.
	cached := ply.Wrap(hc, c.Middleware)

	// Code that takes an *http.Client does not notice, and code that wants a transport gets cached.Transport.
	for _, call := range []struct {
		name   string
		client *http.Client
	}{
		{"with the cache", cached},
		{"with the cache, again", cached},
		{"without it", hc},
	} {
		status, err := fetch(ctx, call.client, url)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-22s  %s\n", call.name, status)
	}
	stats := c.Stats()
	fmt.Fprintf(out, "the cache: %d miss, %d hit\n", stats.Misses, stats.Hits)
	return nil
}

// fetch is code that knows net/http only, but for its last lines.
func fetch(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	// A response is stored once its body has been read to the end: reading the whole of it is what fills the cache.
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	if status, ok := cache.StatusOf(resp); ok { // what the cache did, from the response field Cache-Status (RFC 9211)
		return fmt.Sprintf("%s  %s", resp.Status, status.Outcome()), nil
	}
	return resp.Status + "  no cache was asked", nil
}

func serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	fmt.Fprintln(w, "All HTTP is caching.")
}
