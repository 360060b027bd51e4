// Offline keeps what a program has seen in a directory, and answers from it when there is no network, also after a restart.
//
//	go run ./examples/offline          against a small server that it starts itself, and stops
//	go run ./examples/offline URL…     with your own URLs, of which the last one is asked for only when the program is offline
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
	"github.com/plyhttp/ply/store/file"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "offline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	dir, err := os.MkdirTemp("", "ply-offline-") // a program has its directory in os.UserCacheDir
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	unplug, base, then := func() {}, "", "after a restart"
	if len(urls) == 0 {
		server := httptest.NewServer(http.HandlerFunc(serve))
		defer server.Close() // closing it twice is fine
		unplug, base, then = server.Close, server.URL, "the server is gone"
		urls = []string{"/article", "/news", "/never-seen"}
	}
	seen := urls[:max(1, len(urls)-1)]

	fmt.Fprintln(out, "online")
	if err := session(ctx, out, dir, base, cache.ModeDefault, seen); err != nil {
		return err
	}
	// A program that finds out by itself: a fresh response needs no network, and a stale one is served if the origin cannot be reached.
	unplug()
	fmt.Fprintln(out, then)
	if err := session(ctx, out, dir, base, cache.ModeDefault, urls); err != nil {
		return err
	}
	// A program that is told, by a flag or a switch on its screen: not one request is sent. Cache.SetMode does so while it runs.
	fmt.Fprintln(out, "offline mode")
	return session(ctx, out, dir, base, cache.ModeOnlyIfCached, urls)
}

// session does what one start of the program does: it opens the directory, makes its requests and closes all again.
func session(ctx context.Context, out io.Writer, dir, base string, mode cache.Mode, urls []string) (err error) {
	files, err := file.Open(dir, file.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	c, err := cache.New(cache.Options{
		Store: files,
		Mode:  mode,
		// How old an answer may be when the origin cannot be reached (RFC 9111 §4.2.4). A server forbids it with no-cache or must-revalidate.
		MaxStaleDisconnected: 7 * 24 * time.Hour,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }() // before the store: deferred calls run last to first
	client, err := ply.New(ply.Options{BaseURL: base, Timeouts: ply.Timeouts{Total: 30 * time.Second}, Use: []ply.Middleware{c.Middleware}})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, url := range urls {
		fmt.Fprintf(out, "  %-12s  %s\n", url, outcome(client.Get(ctx, url)))
	}
	return nil
}

// outcome is what a person is told of an answer.
func outcome(resp *http.Response, err error) string {
	if err != nil {
		return "cannot be reached"
	}
	status, _ := cache.StatusOf(resp)
	err = ply.Discard(resp, nil)
	switch {
	case ply.StatusIs(err, http.StatusGatewayTimeout) && status.Outcome() == "refused": // of the cache, not of a gateway
		return "504: it was never seen, and the network must not be used"
	case err != nil:
		return err.Error()
	case status.Outcome() == "stale":
		return "200, stale: what was true when the server was last seen"
	}
	return "200, " + status.Outcome()
}

func serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	if r.URL.Path == "/news" {
		w.Header().Set("Cache-Control", "max-age=0") // stale at once
	}
	fmt.Fprintln(w, "All HTTP is caching.")
}
