// Quickstart makes a few requests through a client of three layers and prints what became of each.
//
//	go run ./examples/quickstart          against a server that it starts itself
//	go run ./examples/quickstart URL…     against your own
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"text/tabwriter"
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
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, urls []string) error {
	steps := stepsFor(urls)
	if len(urls) == 0 {
		base, stop, err := startOrigin()
		if err != nil {
			return err
		}
		defer stop()
		steps = tour(base)
	}

	c, err := cache.New(cache.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	var log bytes.Buffer
	var sent counter
	client, err := ply.New(ply.Options{
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use: []ply.Middleware{
			logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}),
			c.Middleware,
			retry.New(retry.Options{}),
			ply.Named("counter", sent.layer),
		},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	fmt.Fprintf(out, "layers: %s\n\n", chain(client))
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tTHE CACHE\tSTATUS\tTIME\tORIGIN SAW")
	var failed error
	var busiest ply.CallInfo
	for _, s := range steps {
		ctx := ply.WithCallInfo(ctx)
		row, err := s.do(ctx, client, &sent)
		if err != nil {
			failed = err
		}
		fmt.Fprintln(table, row)
		if info, ok := ply.CallInfoFromContext(ctx); ok && exchanges(info) > exchanges(busiest) {
			busiest = info
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nthe log of the last one:\n%s", lastLine(log.String()))
	if exchanges(busiest) > 0 {
		fmt.Fprintf(out, "\nthe record of the busiest one:\n%s\n", busiest)
	}
	return failed
}

// step is one request of the table.
type step struct {
	label string
	url   string
	scope func(context.Context) context.Context // nil: no scope of its own
}

func (s step) do(ctx context.Context, client *ply.Client, sent *counter) (row string, err error) {
	if s.scope != nil {
		ctx = s.scope(ctx)
	}
	before, start := sent.n.Load(), time.Now()
	what, status := "", "-"
	resp, err := client.Get(ctx, s.url)
	if err == nil {
		what, status = verdict(resp), strconv.Itoa(resp.StatusCode)
		err = ply.Discard(ply.AnyStatus(resp, nil))
	}
	if err != nil {
		what = "error: " + err.Error()
	}
	return strings.Join([]string{s.label, what, status, since(start), requests(sent.n.Load() - before)}, "\t"), err
}

// stepsFor shows the same with the user's own URLs.
func stepsFor(urls []string) []step {
	var steps []step
	for _, u := range urls {
		steps = append(steps,
			step{label: "GET " + u, url: u},
			step{label: "  again", url: u},
			step{label: "  cache off for this one", url: u, scope: cache.Disable},
			step{label: "  reloaded", url: u, scope: reload},
		)
	}
	return steps
}

// exchanges counts what a call sent over the network.
func exchanges(info ply.CallInfo) (n int) {
	for _, hop := range info.Hops {
		n += len(hop.Exchanges)
	}
	return n
}

func reload(ctx context.Context) context.Context { return cache.WithMode(ctx, cache.ModeReload) }

func chain(client *ply.Client) string {
	var names []string
	for _, l := range ply.Layers(client) {
		names = append(names, l.String())
	}
	return strings.Join(names, " → ")
}

func since(start time.Time) string {
	d := time.Since(start)
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

func requests(n int64) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:] + "\n"
}

// verdict says what the cache did, in a word and with its reason, from the Cache-Status of the response.
func verdict(resp *http.Response) string {
	status, ok := cache.StatusOf(resp)
	switch {
	case !ok:
		return "not asked"
	case status.Outcome() == "hit" && status.HasTTL:
		return fmt.Sprintf("hit, fresh for %v more", status.TTL)
	case status.Detail != "":
		return status.Outcome() + ": " + status.Detail
	}
	return status.Outcome()
}
