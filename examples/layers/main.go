// Layers stacks the layers of a client with two of its own, and shows the order in which a request passes them.
//
//	go run ./examples/layers          against a small server that it starts itself
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}

// userAgent is a layer without state: a function. It must not change the request that it is given, so it sends a copy.
func userAgent(name string) ply.Middleware {
	return ply.Named("user agent", func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("User-Agent", name)
			return next.RoundTrip(req)
		})
	})
}

// A quota remembers what an API says is left of a caller's quota. It is a layer with state, which many goroutines use at once.
type quota struct{ left atomic.Int64 }

func (q *quota) Middleware(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if n, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Remaining"), 10, 64); err == nil {
			q.left.Store(n)
		}
		return resp, nil
	})
}

func run(ctx context.Context, out io.Writer) error {
	server := httptest.NewServer(serve())
	defer server.Close()
	c, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	var left quota
	again := retry.New(retry.Options{Backoff: retry.FullJitter(10*time.Millisecond, time.Second)})

	client, err := ply.New(ply.Options{
		BaseURL:  server.URL,
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use: []ply.Middleware{ // a request passes from the first to the last, its response back
			logging.New(logging.Options{Logger: slog.New(plainHandler(out))}), // sees what callers get
			userAgent("layers-example/1.0"),                                   // above the cache: a response may vary on it
			auth.New(auth.Options{Source: auth.APIKey("the example", "s3cret"), Origins: []string{server.URL}}),
			c.Middleware,                        // knows now who asks; a hit goes no further down
			again,                               // the cache stores the final response only
			ply.Named("quota", left.Middleware), // sees each attempt, and no hit
		},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	var names []string
	for _, l := range ply.Layers(client) {
		names = append(names, l.String())
	}
	fmt.Fprintf(out, "layers: %s\n", strings.Join(names, " → "))
	for range 2 {
		text, err := ply.Text(client.Get(ctx, "/article"))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  quota left: %d\n", strings.TrimSpace(text), left.left.Load())
	}

	// An order that cannot work is refused when the client is made, and the error says what to do.
	_, err = ply.New(ply.Options{Use: []ply.Middleware{again, c.Middleware}})
	var wrong *ply.OptionError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("a cache inside retry was not refused: %w", err)
	}
	_, err = fmt.Fprintf(out, "refused: %v\n", wrong)
	return err
}

// plainHandler logs without what differs from run to run.
func plainHandler(out io.Writer) slog.Handler {
	kept := map[string]bool{slog.MessageKey: true, "http.request.method": true, "http.response.status_code": true, "cache.status": true, "retry.attempts": true}
	return slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if !kept[a.Key] {
			return slog.Attr{}
		}
		return a
	}})
}

// serve fails for the first request, as servers do while they are restarted.
func serve() http.Handler {
	var asked atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("X-RateLimit-Remaining", strconv.FormatInt(100-n, 10))
		switch {
		case r.Header.Get("Authorization") != "Bearer s3cret":
			w.WriteHeader(http.StatusUnauthorized)
		case n == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprintf(w, "Hello, %s.\n", r.UserAgent())
		}
	})
}
