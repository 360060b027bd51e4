package resilience_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// The simulation: so many callers send one request each minute, for ten minutes of virtual time, to a server that goes through the phases.
const (
	callers = 10_000
	minutes = 10
	patient = 5 * time.Second         // how long a caller waits
	attempt = 1500 * time.Millisecond // how long retry lets an attempt wait
)

// phases are what the server does, minute by minute.
var phases = [minutes]string{"well", "well", "503", "503", "hangs", "hangs", "half 503", "half 503", "10 % slow", "well"}

// columns are the phases of the table.
var columns = []string{"well", "503", "hangs", "half 503", "10 % slow"}

// server counts what reaches it in each minute.
type server struct {
	start time.Time
	seen  [minutes + 1]atomic.Int64
}

func (s *server) minute() int { return min(int(time.Since(s.start)/time.Minute), minutes) }

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	m := s.minute()
	s.seen[m].Add(1)
	wait, status := time.Duration(20+rand.IntN(40))*time.Millisecond, http.StatusNoContent
	switch phases[min(m, minutes-1)] {
	case "503":
		wait, status = 5*time.Millisecond, http.StatusServiceUnavailable
	case "hangs":
		wait = time.Hour
	case "half 503":
		if rand.IntN(2) == 0 {
			status = http.StatusServiceUnavailable
		}
	case "10 % slow":
		if rand.IntN(10) == 0 {
			wait = time.Second
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// row is what a stack of layers did to the server and for the callers.
type row struct {
	load      [minutes]float64 // requests at the server for each call, minute by minute
	succeeded map[string]int   // of a hundred calls, by phase
	most      float64          // of load
}

// simulate runs the simulation in a bubble.
func simulate(t *testing.T, layers []func(http.RoundTripper) http.RoundTripper) (r row) {
	s := &server{start: time.Now()}
	h := ply.Chain(layers...)(s)
	var calls, good [minutes]atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			time.Sleep(rand.N(time.Minute - patient))
			for m := range minutes {
				next := time.Now().Add(time.Minute)
				calls[m].Add(1)
				if call(t.Context(), h) {
					good[m].Add(1)
				}
				time.Sleep(time.Until(next))
			}
		})
	}
	wg.Wait()
	r.succeeded = map[string]int{}
	times := map[string]int{}
	for m := range minutes {
		r.load[m] = float64(s.seen[m].Load()) / float64(calls[m].Load())
		r.most = max(r.most, r.load[m])
		times[phases[m]]++
		r.succeeded[phases[m]] += int(good[m].Load() * 100 / calls[m].Load())
	}
	for phase, n := range times {
		r.succeeded[phase] /= n
	}
	return r
}

func call(ctx context.Context, h http.RoundTripper) bool {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://origin.test/", nil)
	if err != nil {
		return false
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode < 500
}

// in is the greatest load in the minutes of a phase.
func (r row) in(phase string) (most float64) {
	for m, load := range r.load {
		if phases[m] == phase {
			most = max(most, load)
		}
	}
	return most
}

// stacks are the layers alone, each with a budget of its own, and all together.
func stacks(t *testing.T) (names []string, layers map[string][]func(http.RoundTripper) http.RoundTripper) {
	layers = map[string][]func(http.RoundTripper) http.RoundTripper{}
	add := func(name string, l ...func(http.RoundTripper) http.RoundTripper) {
		names, layers[name] = append(names, name), l
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	hedger := func(o hedge.Options) func(http.RoundTripper) http.RoundTripper {
		h, err := hedge.New(o)
		must(err)
		return h.Middleware
	}
	b, err := breaker.New(breaker.Options{})
	must(err)
	l, err := limit.New(limit.Options{Adaptive: &limit.Adaptive{}})
	must(err)
	tries := retry.Options{AttemptTimeout: attempt}
	unlimited := tries
	unlimited.Budget = retry.Unlimited
	add("none")
	add("retry without a budget", retry.New(unlimited))
	add("hedge without a budget", hedger(hedge.Options{Budget: retry.Unlimited}))
	add("both without a budget", retry.New(unlimited), hedger(hedge.Options{Budget: retry.Unlimited}))
	add("retry", retry.New(tries))
	add("hedge", hedger(hedge.Options{}))
	add("breaker", b.Middleware)
	add("limit", l.Middleware)
	add("retry and hedge, a budget each", retry.New(tries), hedger(hedge.Options{}))
	shared := &budget.Budget{}
	one := tries
	one.Budget = shared
	add("retry and hedge, one budget", retry.New(one), hedger(hedge.Options{Budget: shared.For(budget.Hedge)}))
	add("Standard", resilience.Standard(resilience.Options{Retry: tries})...)
	return names, layers
}

// In whatever trouble the server is, it gets no more than 1.1 times its normal load with the whole chain on.
// With -v it prints the table of docs/resilience.md.
func TestOutage(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', 0)
	fmt.Fprintf(w, "| layers\t| %s\t| calls that succeed\t|\n", strings.Join(columns, "\t| "))
	fmt.Fprintf(w, "|%s\n", strings.Repeat("---\t|", len(columns)+2))
	only := []string{"Standard"}
	if testing.Verbose() {
		only, _ = stacks(t)
	}
	for _, name := range only {
		synctest.Test(t, func(t *testing.T) {
			_, layers := stacks(t)
			r := simulate(t, layers[name])
			fmt.Fprintf(w, "| %s\t", name)
			total := 0
			for _, phase := range columns {
				fmt.Fprintf(w, "| %.2f\t", r.in(phase))
			}
			for m := range minutes {
				total += r.succeeded[phases[m]]
			}
			fmt.Fprintf(w, "| %d %%\t|\n", total/minutes)
			switch name {
			case "Standard", "retry and hedge, one budget":
				if r.most > 1.1 {
					t.Errorf("the server got up to %.3f times its load, want 1.1 at most: %.3f", r.most, r.load)
				}
			case "retry without a budget":
				if r.most < 2 {
					t.Errorf("the server got only %.3f times its load without a budget: this proves nothing", r.most)
				}
			}
		})
	}
	w.Flush()
	t.Logf("requests at the server for each call, in the worst minute of each phase:\n%s", &table)
}
