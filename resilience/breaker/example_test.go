package breaker_test

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/breaker"
)

// Three failures open the breaker. What comes then fails at once, and the server is left alone.
func ExampleNew() {
	b, err := breaker.New(breaker.Options{
		MinRequests: 3,
		OnChange:    func(c breaker.Change) { fmt.Printf("%s: %s → %s\n", c.Key, c.From, c.To) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := plytest.NewOrigin(plytest.Status(http.StatusBadGateway))
	client := &http.Client{Transport: b.Middleware(down)}
	refused := 0
	for range 10 {
		resp, err := client.Get("http://example.com/")
		if err == nil {
			resp.Body.Close()
		} else if open := (*breaker.OpenError)(nil); errors.As(err, &open) {
			refused++
		}
	}
	fmt.Println(down.Count(), "sent,", refused, "refused")
	// Output:
	// example.com: closed → open
	// 3 sent, 7 refused
}

// What counts as a failure is what retry would send again. Rules of your own come first: this server says 200 when it is down.
func ExampleOptions_rules() {
	down := func(a *retry.Attempt) retry.Verdict {
		if a.Response != nil && a.Response.Header.Get("X-Maintenance") != "" {
			return retry.Retry
		}
		return retry.Undecided
	}
	b, err := breaker.New(breaker.Options{MinRequests: 2, Rules: []retry.Rule{down}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: b.Middleware(plytest.NewOrigin(plytest.Text("back soon", "X-Maintenance", "1")))}
	for range 2 {
		resp, err := client.Get("http://example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	fmt.Println(b.State("example.com"))
	// Output: open
}

// Each tenant has a breaker of its own.
func ExampleOptions_key() {
	b, err := breaker.New(breaker.Options{MinRequests: 1, Key: func(r *http.Request) string { return r.Header.Get("X-Tenant") }})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: b.Middleware(plytest.NewOrigin(plytest.Refuse()))}
	req, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	req.Header.Set("X-Tenant", "a")
	client.Do(req) //nolint:bodyclose // there is none
	fmt.Println(b.State("a"), b.State("b"))
	// Output: open closed
}
