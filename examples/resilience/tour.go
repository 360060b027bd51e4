package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/limit"
)

// tour brings the server into trouble, and prints what callers get and what the server gets.
func tour(ctx context.Context, out io.Writer, s *server, base string, transport http.RoundTripper) error {
	client, end, err := newClient(base, transport, out)
	if err != nil {
		return err
	}
	defer end()
	step := func(title string, do func() string) {
		before := s.requests.Load()
		fmt.Fprintln(out, title)
		said := do()
		fmt.Fprintf(out, "  %s; requests: %d\n", said, s.requests.Load()-before)
	}
	step("the server is well", func() string { return inTurn(ctx, client, "/article", 5) })
	step("one answer does not come", func() string {
		s.stall.Store(true)
		return inTurn(ctx, client, "/orders", 1)
	})
	s.down.Store(true)
	step("the server is down", func() string { return inTurn(ctx, client, "/orders", 100) })
	step("and what is stored, though stale, is served", func() string { return inTurn(ctx, client, "/article", 100) })
	s.down.Store(false)
	select { // an open breaker lets a request through when this is over
	case <-time.After(openFor + openFor/10):
	case <-ctx.Done():
		return ctx.Err()
	}
	step("the server is back", func() string { return inTurn(ctx, client, "/orders", 5) })
	step("a crowd comes", func() string {
		said := atOnce(ctx, client, "/slow")
		return fmt.Sprintf("%s, at most %d under way", said, s.mostUnderWay())
	})
	return nil
}

// inTurn makes n calls, one after the other.
func inTurn(ctx context.Context, client *ply.Client, url string, n int) string {
	var t tally
	for range n {
		t.count(client.Get(ctx, url))
	}
	return t.String()
}

// atOnce makes 50 calls at the same time.
func atOnce(ctx context.Context, client *ply.Client, url string) string {
	var t tally
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { t.count(client.Get(cache.WithoutCollapsing(ctx), url)) })
	}
	all.Wait()
	return t.String()
}

// A tally counts what callers got.
type tally struct {
	mu     sync.Mutex // guards counts
	counts [len(outcomes)]int
}

var outcomes = [...]string{"answered", "failed", "refused by the breaker", "refused by the limit"}

func (t *tally) count(resp *http.Response, err error) {
	err = ply.Discard(resp, err)
	outcome := 0
	var open *breaker.OpenError
	var full *limit.Error
	switch {
	case errors.As(err, &open): // at once, and the server knows nothing of it
		outcome = 2
	case errors.As(err, &full): // no room came in time
		outcome = 3
	case err != nil:
		outcome = 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[outcome]++
}

func (t *tally) String() string {
	var said []string
	for i, n := range t.counts {
		if n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, outcomes[i]))
		}
	}
	return "calls: " + strings.Join(said, ", ")
}
