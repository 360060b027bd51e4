package budget_test

import (
	"fmt"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/budget"
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
