// Prometheus shows what a metrics endpoint has to say of a client: its requests, its cache, its retries and their budget.
//
//	go run ./examples/prometheus        # makes a few calls to a server of its own, asks its own /metrics and prints the text
//	go run ./examples/prometheus -all   # the same with the buckets of histograms
//	go run ./examples/prometheus URL…   # makes its calls to your own
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

func main() {
	all := flag.Bool("all", false, "print the buckets of histograms, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *all, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, all bool, urls []string) error {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return err
	}
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	defer meters.Shutdown(context.WithoutCancel(ctx))
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer metrics.Close()

	if err := makeCalls(ctx, meters, urls); err != nil {
		return err
	}
	return scrape(ctx, out, metrics.URL, all)
}

// makeCalls makes calls of each kind, or those of the user, through a client that is measured.
func makeCalls(ctx context.Context, meters *metric.MeterProvider, urls []string) error {
	origin := httptest.NewServer(handler())
	defer origin.Close()
	telemetry, err := plyotel.New(plyotel.Options{MeterProvider: meters})
	if err != nil {
		return err
	}
	c, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	budget := &retry.TokenBucket{}
	if _, err := telemetry.ObserveCache("main", c); err != nil {
		return err
	}
	if _, err := telemetry.ObserveBudget("main", budget); err != nil {
		return err
	}
	client, err := ply.New(ply.Options{
		BaseURL:  origin.URL,
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		UseCall:  []ply.Middleware{telemetry.Call},
		Use:      []ply.Middleware{c.Middleware, retry.New(retry.Options{Budget: budget}), telemetry.Attempt},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, url := range urls {
		if err := ply.Discard(client.Get(ctx, url)); err != nil {
			return err
		}
	}
	if len(urls) > 0 {
		return nil
	}
	for _, id := range []string{"1", "2", "1", "1"} { // the first one at the second attempt, and two from the cache
		if err := ply.Discard(client.Get(ctx, "/users/{id}", ply.PathValue("id", id))); err != nil {
			return err
		}
	}
	return ply.Discard(client.Post(ctx, "/orders?token=hunter2", ply.BodyString("two apples")))
}

func handler() http.Handler {
	mux := http.NewServeMux()
	var asked atomic.Int64
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "user %s", r.PathValue("id"))
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	return mux
}

// scrape does what Prometheus does, and prints what it gets.
func scrape(ctx context.Context, out io.Writer, url string, all bool) error {
	client, err := ply.New(ply.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	resp, err := ply.ErrorForStatus(client.Get(ctx, url))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, _, _ := strings.Cut(lines.Text(), "{"); !all && strings.HasSuffix(name, "_bucket") {
			continue
		}
		fmt.Fprintln(out, lines.Text())
	}
	return lines.Err()
}
