// Logging prints what the logging layer writes: one record for a call, and one for each of its attempts.
//
//	go run ./examples/logging           of calls to a server that it starts itself
//	go run ./examples/logging URL…      of calls to your own
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "logging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	origin := httptest.NewServer(handler())
	defer origin.Close()
	steps := tour
	if len(urls) > 0 {
		steps = nil
		for _, u := range urls {
			steps = append(steps, step{"a call", u}, step{"the same again", u})
		}
	}
	c, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	log := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}))})
	client, err := ply.New(ply.Options{
		BaseURL:  origin.URL,
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		// The same layer outside and inside retry: calls, and attempts.
		Use: []ply.Middleware{log, c.Middleware, retry.New(retry.Options{MaxAttempts: 2}), log},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	for _, step := range steps {
		fmt.Fprintf(out, "# %s\n", step.title)
		// What went wrong is in the log.
		_ = ply.Discard(client.Get(ctx, step.url))
	}
	if len(urls) > 0 {
		return nil
	}
	return login(ctx, out, origin.URL)
}

type step struct{ title, url string }

var tour = []step{
	{"an answer at the second attempt", "/greeting?key=hunter2"},
	{"the same from the cache", "/greeting?key=hunter2"},
	{"a download that breaks off", "/broken"},
	{"no listener", "http://127.0.0.1:1/"},
}

// login shows fields and bodies, which are full of secrets, and a request as a command.
func login(ctx context.Context, out io.Writer, base string) error {
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: noTime}))
	client, err := ply.New(ply.Options{
		BaseURL: base,
		Use:     []ply.Middleware{logging.New(logging.Options{Logger: logger, Headers: true, BodyBytes: 4096, Connection: true})},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintln(out, "# a login, with fields and bodies")
	token, err := ply.JSON[map[string]any](client.Post(ctx, "/{tenant}/login", ply.PathValue("tenant", "acme"),
		ply.BodyForm(url.Values{"user": {"joe"}, "password": {"hunter2"}})))
	if err != nil {
		return err
	}
	req, err := client.NewRequest(ctx, http.MethodPost, "https://example.com/orders?key=hunter2",
		ply.Bearer(fmt.Sprint(token["access_token"])), ply.BodyJSON(map[string]any{"item": "apple", "card_token": "hunter2"}))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "# a request as a command")
	fmt.Fprintln(out, logging.Curl(req))
	return nil
}

func handler() http.Handler {
	mux := http.NewServeMux()
	var asked atomic.Int64
	mux.HandleFunc("/greeting", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "hello")
	})
	mux.HandleFunc("POST /{tenant}/login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "hunter2"})
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"hunter2","expires_in":3600}`)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "four")
	})
	return mux
}

func noTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
