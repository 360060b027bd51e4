package resilience_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/budget"
)

// A refresh ahead of time passes retry and hedge as a call does. It is counted once, as the extra request that it is, and pays nothing in, with retry and with hedge alone.
func TestRefreshAheadIsAnExtraRequestAndNoCall(t *testing.T) {
	for name, noRetry := range map[string]bool{"with retry": false, "with hedge alone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(plytest.Text("page", "Cache-Control", "max-age=20"))
				chain, err := resilience.New(resilience.Options{Budget: &budget.Budget{Ratio: 0.5, Reserve: 4, Floor: -1}})
				if err != nil {
					t.Fatal(err)
				}
				store, err := cache.New(cache.Options{Expiry: expiry.Ahead(nil, 0.5), RefreshBudget: cache.FromBudget(chain.Budget.For(budget.Refresh))})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				layers := append([]ply.Middleware{store.Middleware}, chain.Layers()...)
				if noRetry {
					layers = append(layers[:1], chain.Hedge.Middleware)
				}
				client := newClient(t, origin, layers...)
				for range 3 { // a miss, and two hits that have the page refreshed
					if err := ply.Discard(client.Get(t.Context(), "http://a.test/")); err != nil {
						t.Fatal(err)
					}
					time.Sleep(15 * time.Second)
				}
				want := budget.Stats{Calls: 1, Refreshes: 2, Amplification: 3}
				if got := chain.Budget.Stats(); got != want || origin.Count() != 3 {
					t.Errorf("%+v and %d requests, want %+v", got, origin.Count(), want)
				}
				if got := chain.Budget.Tokens("a.test"); got != 2 {
					t.Errorf("%v tokens are left, want 2 of 4", got)
				}
			})
		})
	}
}
