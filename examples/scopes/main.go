// Scopes turns the cache off for a part of a program, or has it treat some requests otherwise.
//
//	go run ./examples/scopes          against a small server that it starts itself
//	go run ./examples/scopes URL      against your own
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scopes:", err)
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
	c, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := ply.New(ply.Options{Timeouts: ply.Timeouts{Total: 30 * time.Second}, Use: []ply.Middleware{c.Middleware}})
	if err != nil {
		return err
	}
	defer client.Close()

	// The choice travels in the context, so that it holds for all that is called with it, and for nothing else:
	// other goroutines, which use the same client at the same time, keep their cache.
	off := cache.Disable(ctx)
	for _, scope := range []struct {
		name string
		ctx  context.Context
	}{
		{"an ordinary request", ctx},
		{"another one", ctx},
		{"Disable", off},
		{"Disable, and Enable within it", cache.Enable(off)},
		{"ModeNoCache: ask whether it is still true", cache.WithMode(ctx, cache.ModeNoCache)},
		{"ModeReload: fetch anew, and store that", cache.WithMode(ctx, cache.ModeReload)},
		{"ModeNoStore: leave no trace", cache.WithMode(ctx, cache.ModeNoStore)},
		{"ModeForceCache: take it, however old", cache.WithMode(ctx, cache.ModeForceCache)},
		{"ModeOnlyIfCached: do not use the network", cache.WithMode(ctx, cache.ModeOnlyIfCached)},
	} {
		if err := get(scope.ctx, out, client, scope.name, url); err != nil {
			return err
		}
	}

	// An operator's switch is for all requests at once. What is stored stays, and counts again when the cache is back.
	c.SetEnabled(false)
	if err := get(ctx, out, client, "SetEnabled(false)", url); err != nil {
		return err
	}
	c.SetEnabled(true)
	return get(ctx, out, client, "SetEnabled(true)", url)
}

func get(ctx context.Context, out io.Writer, client *ply.Client, name, url string) error {
	resp, err := client.Get(ctx, url)
	if err != nil {
		return err
	}
	status, _ := cache.StatusOf(resp)
	if err := ply.Discard(ply.AnyStatus(resp, nil)); err != nil { // 504 is what ModeOnlyIfCached says of what is not stored
		return err
	}
	line := fmt.Sprintf("%-42s  %-11s  %s", name, status.Outcome(), status.Detail)
	_, err = fmt.Fprintln(out, strings.TrimRight(line, " "))
	return err
}

func serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("ETag", `"v1"`)
	if r.Header.Get("If-None-Match") == `"v1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprintln(w, "All HTTP is caching.")
}
