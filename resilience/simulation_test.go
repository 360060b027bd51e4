package resilience_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// The simulation: callers, so many, send one request each minute, for ten minutes of virtual time, to a server that goes through the phases.
// Caches are filled in the minutes before, which are not counted.
const (
	minutes = 10
	filling = 3
	pages   = callers / 5             // the callers ask for, each as often as the others
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

// minute is zero also while caches are filled.
func (s *server) minute() int {
	return min(int(time.Since(s.start).Minutes()), minutes)
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	m := max(s.minute(), 0)
	if time.Since(s.start) >= 0 {
		s.seen[m].Add(1)
	}
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
		header := http.Header{}
		if status < 500 {
			header.Set("Cache-Control", "max-age="+strconv.Itoa(30+rand.IntN(60))+", stale-if-error=600")
		}
		return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: req}, nil
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
func simulate(t *testing.T, s stack) (r row) {
	first := 0
	if s.caches {
		first = -filling
	}
	origin := &server{start: time.Now().Add(-time.Duration(first) * time.Minute)}
	h := ply.Chain(s.layers...)(origin)
	var calls, good [minutes]atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			time.Sleep(rand.N(time.Minute - patient))
			for m := first; m < minutes; m++ {
				next := time.Now().Add(time.Minute)
				succeeded := call(t.Context(), h)
				if m >= 0 {
					calls[m].Add(1)
				}
				if m >= 0 && succeeded {
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
		r.load[m] = float64(origin.seen[m].Load()) / float64(calls[m].Load())
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://origin.test/"+strconv.Itoa(rand.IntN(pages)), nil)
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

// stack is a row of the table: some layers.
type stack struct {
	name   string
	layers []func(http.RoundTripper) http.RoundTripper
	caches bool
}

// stacks are the layers alone, each with a budget of its own, and all together. They are made anew for each bubble.
func stacks(t *testing.T) (all []stack) {
	add := func(name string, l ...func(http.RoundTripper) http.RoundTripper) {
		all = append(all, stack{name: name, layers: l})
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
	return append(all, cached(t, tries)...)
}

// cached are the rows with a cache on top. One that refreshes ahead does so from half of the lifetime on: more often than is sensible, so that the budget has to say no.
func cached(t *testing.T, tries retry.Options) (all []stack) {
	add := func(name string, o cache.Options, l ...func(http.RoundTripper) http.RoundTripper) {
		store, err := cache.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		all = append(all, stack{name, append([]func(http.RoundTripper) http.RoundTripper{store.Middleware}, l...), true})
	}
	ahead := func(b *budget.Budget) cache.Options {
		return cache.Options{Expiry: expiry.Ahead(nil, 0.5), RefreshBudget: cache.FromBudget(b.For(budget.Refresh))}
	}
	chain := func() *resilience.Chain {
		c, err := resilience.New(resilience.Options{Retry: tries})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	add("cache", cache.Options{})
	add("cache, refresh ahead without a budget", cache.Options{Expiry: expiry.Ahead(nil, 0.5)})
	add("cache, refresh ahead", ahead(&budget.Budget{}))
	add("cache, Standard", cache.Options{}, chain().Layers()...)
	c := chain()
	add("all together", ahead(c.Budget), c.Layers()...)
	return all
}

// In whatever trouble the server is, it gets no more than 1.1 times its normal load with the whole chain on: of what the callers send, and with a cache,
// of what that leaves over while the server does well, but for chance. Where half of the answers are errors, which no cache can store, it is of what the callers send.
// With -v it prints the table of docs/resilience.md.
func TestOutage(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', 0)
	fmt.Fprintf(w, "| layers\t| %s\t| calls that succeed\t|\n", strings.Join(columns, "\t| "))
	fmt.Fprintf(w, "|%s\n", strings.Repeat("---\t|", len(columns)+2))
	var only []int
	rows := map[string]row{}
	for i, s := range stacks(t) {
		if testing.Verbose() || s.name == "Standard" || s.name == "cache" || s.name == "all together" {
			only = append(only, i)
		}
	}
	for _, i := range only {
		synctest.Test(t, func(t *testing.T) {
			s := stacks(t)[i]
			r := simulate(t, s)
			rows[s.name] = r
			fmt.Fprintf(w, "| %s\t", s.name)
			total := 0
			for _, phase := range columns {
				fmt.Fprintf(w, "| %.2f\t", r.in(phase))
			}
			for m := range minutes {
				total += r.succeeded[phases[m]]
			}
			fmt.Fprintf(w, "| %d %%\t|\n", total/minutes)
		})
	}
	for _, name := range []string{"Standard", "retry and hedge, one budget", "all together"} {
		if r := rows[name]; r.most > 1.1 {
			t.Errorf("%s: the server got up to %.3f times its load, want 1.1 at most: %.3f", name, r.most, r.load)
		}
	}
	alone, all := rows["cache"], rows["all together"]
	normal := alone.in("well")
	for _, phase := range columns {
		// Which pages expire in a minute is chance: four standard deviations of the number of requests are no load.
		most := 1.1*normal + 4*math.Sqrt(normal/callers)
		if phase == "half 503" {
			most = 0.6 // each page is asked for until an answer can be stored
		}
		if got := all.in(phase); got > most {
			t.Errorf("%s: with the whole chain the server got %.3f of the calls, want %.3f at most", phase, got, most)
		}
	}
	for _, b := range []struct {
		name string
		more bool
	}{
		{"the cache alone, while the server is down", alone.in("503") > 2*alone.in("well")},
		{"retry without a budget", !testing.Verbose() || rows["retry without a budget"].most > 2},
		{"refreshes ahead without a budget", !testing.Verbose() || rows["cache, refresh ahead without a budget"].in("well") > 1.3*alone.in("well")},
	} {
		if !b.more {
			t.Errorf("%s made no load to speak of: this proves nothing", b.name)
		}
	}
	w.Flush()
	t.Logf("requests at the server for each call, in the worst minute of each phase:\n%s", &table)
}
