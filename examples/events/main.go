// Events reads an event stream (SSE) as it arrives, and goes on where it broke off.
//
//	go run ./examples/events          against a small server that it starts itself
//	go run ./examples/events URL      reads a stream of yours, until it ends or Ctrl-C
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/plyhttp/ply"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, context.Canceled) { // Ctrl-C is no failure
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	url, wait := "", time.Duration(0) // zero: three seconds, unless the server says otherwise
	if len(args) > 0 {
		url = args[0]
	} else {
		server := httptest.NewServer(newFeed())
		defer server.Close()
		url, wait = server.URL, 10*time.Millisecond
	}
	client, err := ply.New(ply.Options{
		// Servers send a comment now and then to show that they are there. A connection that is silent for longer is dead, and nothing else would notice.
		Timeouts: ply.Timeouts{ResponseHeader: 30 * time.Second, IdleRead: 90 * time.Second},
	})
	if err != nil {
		return err
	}
	defer client.Close()

	// Each connection after the first says with Last-Event-ID where the last one ended.
	reconnect := ply.Reconnect(ply.ReconnectOptions{
		Wait: wait, MinInterval: wait,
		OnReconnect: func(err error, _ time.Duration) {
			if err != nil {
				fmt.Fprintln(out, "the stream broke off")
			} else {
				fmt.Fprintln(out, "the server ended the stream")
			}
		},
	})
	for event, err := range client.Events(ctx, url, reconnect) {
		if err != nil {
			return err // for good: what another connection may cure is not reported here
		}
		if err := handle(out, event); err != nil {
			return fmt.Errorf("event %q: %w", event.ID, err)
		}
	}
	// A feed that is over says so with 204.
	_, err = fmt.Fprintln(out, "the feed is over")
	return err
}

// An order is what an event of the type "order" holds.
type order struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

func handle(out io.Writer, event ply.Event) error {
	if event.Type != "order" {
		_, err := fmt.Fprintf(out, "%s: %s\n", event.Type, event.Data)
		return err
	}
	var o order
	if err := json.Unmarshal([]byte(event.Data), &o); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "order %s: %d × %s\n", event.ID, o.Quantity, o.Item)
	return err
}
