package resilience_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/limit"
)

// The four layers in their order, below a cache and whatever else there is.
func ExampleStandard() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client, err := ply.New(ply.Options{
		Use:      append([]ply.Middleware{c.Middleware}, resilience.Standard(resilience.Options{})...),
		Timeouts: ply.Timeouts{Total: 30 * time.Second}, // the layers have none
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, l := range ply.Layers(client) {
		fmt.Println(l)
	}
	// Output:
	// redirects and cookies
	// cache
	// retry
	// hedge
	// breaker
	// limit
	// *http.Transport
}

// New gives the same layers, and what they share, for a program that wants to see how they stand.
func ExampleNew() {
	chain, err := resilience.New(resilience.Options{
		Breaker: breaker.Options{MinRequests: 5, OnChange: func(c breaker.Change) { fmt.Printf("%s is %s\n", c.Key, c.To) }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := plytest.NewOrigin(plytest.Refuse())
	client := ply.Wrap(&http.Client{Transport: down}, chain.Layers()...)
	for range 100 {
		client.Get("http://example.com/") //nolint:bodyclose // there is none
	}
	s := chain.Budget.Stats()
	fmt.Println(chain.Breaker.State("example.com"), "after", down.Count(), "requests for", s.Calls, "calls")
	// Output:
	// example.com is open
	// open after 5 requests for 100 calls
}

// Who has no key of its own does not use up what others need: here each tenant has ten requests per second.
func ExampleOptions_key() {
	type tenantKey struct{}
	tenant := func(r *http.Request) string { return r.URL.Host + " " + r.Context().Value(tenantKey{}).(string) }
	limiter, err := limit.New(limit.Options{Rate: 10, Burst: 1, Queue: -1, Key: tenant})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := ply.Wrap(&http.Client{Transport: plytest.NewOrigin(plytest.Text("ok"))}, limiter.Middleware)
	for _, name := range []string{"a", "a", "b"} {
		req, _ := http.NewRequestWithContext(context.WithValue(context.Background(), tenantKey{}, name), http.MethodGet, "http://example.com/", nil)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(name, strings.TrimPrefix(err.Error(), `Get "http://example.com/": `))
			continue
		}
		resp.Body.Close()
		fmt.Println(name, resp.Status)
	}
	// Output:
	// a 200 OK
	// a limit: no room for example.com a: queue full
	// b 200 OK
}

// One account for all that is sent beside the calls: what one layer has spent, the other does not have.
func ExampleOptions_budget() {
	b := &budget.Budget{Reserve: 10}
	retry.New(retry.Options{Budget: b})
	hedges, refreshes := b.For(budget.Hedge), b.For(budget.Refresh)
	for range 6 {
		hedges.Allow("example.com", retry.Outcome{})
		refreshes.Allow("example.com", retry.Outcome{})
	}
	s := b.Stats()
	fmt.Println(s.Hedges, "hedges and", s.Refreshes, "refreshes; left:", b.Tokens("example.com"))
	// Output: 6 hedges and 6 refreshes; left: 0
}

// Limits of one's own, and a breaker that is slower to open.
func ExampleOptions() {
	client := ply.Wrap(http.DefaultClient, resilience.Standard(resilience.Options{
		Retry:   retry.Options{MaxAttempts: 2, AttemptTimeout: 2 * time.Second},
		Breaker: breaker.Options{FailureRate: 0.9, MinRequests: 50},
		Limit:   limit.Options{Rate: 50, InFlight: 20},
		NoHedge: true,
	})...)
	for _, l := range ply.Layers(client.Transport) {
		fmt.Println(l)
	}
	// Output:
	// retry
	// breaker
	// limit
	// *http.Transport
}

// While the breaker is open, the cache above serves what it has.
func ExampleStandard_stale() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	origin := plytest.NewOrigin(plytest.Text("hello", "Cache-Control", "max-age=0, stale-if-error=600", "Etag", `"v1"`), plytest.Status(503))
	layers := resilience.Standard(resilience.Options{
		Retry:   retry.Options{Backoff: retry.Constant(0)},
		Breaker: breaker.Options{MinRequests: 5}, // opens when four of five have failed
	})
	client := ply.Wrap(&http.Client{Transport: origin}, append([]ply.Middleware{c.Middleware}, layers...)...)

	for range 4 {
		resp, err := client.Get("http://example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := ply.Text(resp, err)
		status, _ := cache.StatusOf(resp)
		fmt.Println(body, err, status.Outcome(), "after", origin.Count(), "requests")
	}
	// Output:
	// hello <nil> miss after 1 requests
	// hello <nil> stale after 4 requests
	// hello <nil> stale after 5 requests
	// hello <nil> stale after 5 requests
}
