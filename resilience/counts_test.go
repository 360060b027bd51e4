package resilience_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// What telemetry shows of each layer, after calls that gave each something to do.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := plytest.Text("slow")
		slow.Wait = time.Minute
		chain, err := resilience.New(resilience.Options{
			Retry:   retry.Options{Backoff: retry.Constant(100 * time.Millisecond)},
			Hedge:   hedge.Options{Delay: time.Second},
			Breaker: breaker.Options{MinRequests: 4, FailureRate: 0.6},
			Limit:   limit.Options{Rate: 1, Burst: 2},
		})
		if err != nil {
			t.Fatal(err)
		}
		h := ply.Chain(chain.Layers()...)(plytest.NewOrigin(slow, plytest.Text("from the copy"), plytest.ResetConnection()))
		for range 3 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
			if resp, err := h.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}
		var got []string
		for _, c := range []interface {
			Counts(func(name, unit, description string, level bool, value int64))
		}{chain.Budget, chain.Breaker, chain.Hedge, chain.Limit} {
			c.Counts(func(name, unit, description string, level bool, value int64) {
				if unit == "" || description == "" {
					t.Errorf("%s has no unit or description", name)
				}
				got = append(got, fmt.Sprintf("%s %d %v", name, value, level))
			})
		}
		slices.Sort(got)
		want := []string{
			"ply.breaker.half_open 0 true", "ply.breaker.open 1 true", "ply.breaker.opened 1 false", "ply.breaker.probes 0 false", "ply.breaker.refused 1 false",
			"ply.budget.amplification 200 true", "ply.budget.calls 3 false", "ply.budget.hedges 1 false", "ply.budget.refreshes 0 false", "ply.budget.refused 0 false", "ply.budget.retries 2 false",
			"ply.hedge.denied 0 false", "ply.hedge.sent 1 false", "ply.hedge.won 1 false",
			"ply.limit.in_flight 0 true", "ply.limit.late 0 false", "ply.limit.queue_full 0 false", "ply.limit.queued 0 true", "ply.limit.waited 2 false",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
