package budget_test

import (
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
)

// A layer of your own that sends more than it was asked to pays for it, as retry and hedge do.
func ExampleBudget_For() {
	b := &budget.Budget{Reserve: 2, Floor: -1}
	refreshes := b.For(budget.Refresh)
	for range 4 {
		_, ok := refreshes.Allow("example.com", retry.Outcome{})
		fmt.Println(ok)
	}
	fmt.Printf("%+v\n", b.Stats())
	// Output:
	// true
	// true
	// false
	// false
	// {Calls:0 Retries:0 Hedges:0 Refreshes:2 Refused:2 Amplification:1}
}

// Retries and hedges pay from one account, so that a server that is down gets the calls and no more than the account holds.
func Example() {
	b := &budget.Budget{Reserve: 3, Floor: -1}
	h, err := hedge.New(hedge.Options{Budget: b.For(budget.Hedge)})
	if err != nil {
		fmt.Println(err)
		return
	}
	again := retry.New(retry.Options{Budget: b, Backoff: retry.Constant(0)})
	down := plytest.NewOrigin(plytest.Status(503))
	client := &http.Client{Transport: again(h.Middleware(down))}
	for range 100 {
		if resp, err := client.Get("http://example.com/"); err == nil {
			resp.Body.Close()
		}
	}
	s := b.StatsFor("example.com")
	fmt.Println(down.Count(), "requests for", s.Calls, "calls;", s.Retries, "retries,", s.Refused, "refused")
	// Output: 103 requests for 100 calls; 3 retries, 99 refused
}
