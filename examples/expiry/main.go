// Expiry decides how long responses stay fresh: by status, by URL and by type, between bounds, for one request, and by a function of its own.
//
//	go run ./examples/expiry          against a small server that it starts itself
//	go run ./examples/expiry URL…     with your own URLs
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
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "expiry:", err)
		os.Exit(1)
	}
}

// strategy asks one source after the other; the first that has an opinion is obeyed.
func strategy() (expiry.Strategy, error) {
	byURL, err := expiry.ByURL(
		expiry.URLRule{Pattern: "*.example.com/static/**", Strategy: expiry.NeverExpires()},
		expiry.URLRule{Pattern: "~/rates$", Strategy: expiry.After(10 * time.Minute)}, // a regular expression
	)
	if err != nil {
		return nil, err
	}
	return expiry.First(
		expiry.Func(previews), // your own rule
		expiry.ByStatus(map[int]expiry.Strategy{http.StatusNotFound: expiry.After(time.Minute)}),
		byURL,
		expiry.ByType(map[string]expiry.Strategy{"image/*": expiry.After(24 * time.Hour)}),
		expiry.Clamp(expiry.Default(), time.Minute, time.Hour), // what the server says, within bounds
	), nil
}

// previews are never stored. The zero Verdict is no opinion: the next source is asked.
func previews(_ *http.Request, resp *http.Response, _ time.Time) expiry.Verdict {
	if resp.Header.Get("X-Preview") != "" {
		return expiry.Refuse()
	}
	return expiry.Verdict{}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	base := ""
	if len(urls) == 0 {
		server := httptest.NewServer(http.HandlerFunc(serve))
		defer server.Close()
		base, urls = server.URL, tour
	}
	s, err := strategy()
	if err != nil {
		return err
	}
	c, err := cache.New(cache.Options{Expiry: s})
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := ply.New(ply.Options{BaseURL: base, Timeouts: ply.Timeouts{Total: 30 * time.Second}, Use: []ply.Middleware{c.Middleware}})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, url := range urls {
		if err := show(ctx, out, client, url); err != nil {
			return err
		}
	}
	// A choice for one request counts before the strategy. It decides how long this response is kept, for all who ask later.
	fmt.Fprintln(out, "with an expiry of its own, and a query")
	return show(cache.WithExpiry(ctx, expiry.After(5*time.Minute)), out, client, urls[0], ply.Query("for", "me"))
}

// show requests a URL twice: for the first time it may be stored, for the second it says for how long it is fresh.
func show(ctx context.Context, out io.Writer, client *ply.Client, url string, options ...ply.RequestOption) error {
	var status cache.Status
	var code int
	for range 2 {
		resp, err := client.Get(ctx, url, options...)
		if err != nil {
			return err
		}
		code = resp.StatusCode
		status, _ = cache.StatusOf(resp)
		if err := ply.Discard(ply.AnyStatus(resp, nil)); err != nil {
			return err
		}
	}
	kept := status.Detail // why it was not stored
	if status.Hit {
		kept = "fresh for " + status.TTL.Round(time.Minute).String()
	}
	_, err := fmt.Fprintf(out, "%-10s  %d  %s\n", url, code, kept)
	return err
}
