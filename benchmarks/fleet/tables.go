package main

import (
	"fmt"
	"io"
	"time"
)

// base is the fleet of the tables: each process has five requests a second for a thousand keys.
func base() Scenario {
	return Scenario{
		Keys: 1000, Skew: 1, Rate: 5, Duration: 2 * time.Minute, TTL: time.Minute, Origin: 100 * time.Millisecond, Seed: 1,
		Call: time.Millisecond, L1TTL: time.Second, Delay: 2 * time.Millisecond, Invalidations: 60,
	}
}

// A Way is a way to set a fleet's caches up.
type Way struct {
	Name string
	Set  func(*Scenario)
}

const lease = 10 * time.Second

// ways go from a cache in each process to all that there is.
var ways = []Way{
	{"memory in each process", func(*Scenario) {}},
	{"a shared store", func(s *Scenario) { s.Shared = true }},
	{"a shared store, leases", func(s *Scenario) { s.Shared, s.Lease = true, lease }},
	{"memory before it", func(s *Scenario) { s.Shared, s.Tiered = true, true }},
	{"memory before it, leases", func(s *Scenario) { s.Shared, s.Tiered, s.Lease = true, true, lease }},
	{"the same with notifications", func(s *Scenario) { s.Shared, s.Tiered, s.Notify, s.Lease = true, true, true, lease }},
}

// A Table has a row for each way, and a column for each scenario and figure.
type Table struct {
	Title   string
	Columns []Column
}

// A Column is a figure of a scenario.
type Column struct {
	Title  string
	Set    func(*Scenario)
	Figure func(*Result, *Scenario) string
}

func perKeyMinute(r *Result, s *Scenario) string { return rounded(r.PerKeyMinute(s)) }
func callsPerRequest(r *Result, _ *Scenario) string {
	return rounded(r.CallsPerRequest())
}
func afterwards(r *Result, _ *Scenario) string {
	mean, most := r.InMinuteFrom(int(trouble / time.Second))
	return fmt.Sprintf("%.0f, %d", mean, most)
}
func stale(r *Result, _ *Scenario) string {
	return fmt.Sprintf("%s, %s", short(r.StaleFor(.5)), short(r.StaleFor(.99)))
}

// rounded has two digits that count.
func rounded(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// trouble is when something happens to a fleet.
const trouble = 90 * time.Second

// tables are those of docs/scale.md, with a column for each size of the fleet.
func tables(sizes []int) []Table {
	in := func(title string, set func(*Scenario)) Column {
		return Column{title, func(s *Scenario) {
			s.Processes, s.Duration, s.Invalidations = 100, trouble+time.Minute, 0
			set(s)
		}, afterwards}
	}
	return []Table{
		{"Requests to the origin, for each key and minute", columns(sizes, perKeyMinute)},
		{"Calls of the store, for each request", columns(sizes, callsPerRequest)},
		{"For how long a response is served after its invalidation: median, 99th percentile", columns(sizes, stale)},
		{"Requests to the origin in a second of that minute, 100 processes: on average, at most", []Column{
			in("nothing happens", func(*Scenario) {}),
			in("all are replaced at once", func(s *Scenario) { s.Deploy = trouble }),
			in("they are replaced within the minute", func(s *Scenario) { s.Deploy, s.DeployTakes = trouble, time.Minute }),
			in("the store is away for 30 s", func(s *Scenario) { s.Down, s.Up = trouble, trouble+30*time.Second }),
			in("and comes back empty", func(s *Scenario) { s.Down, s.Up, s.Emptied = trouble, trouble+30*time.Second, true }),
		}},
	}
}

func columns(sizes []int, figure func(*Result, *Scenario) string) []Column {
	var all []Column
	for _, n := range sizes {
		all = append(all, Column{fmt.Sprint(n), func(s *Scenario) { s.Processes = n }, figure})
	}
	return all
}

// runs remembers results, so that several tables share a run.
type runs map[Scenario]Result

func (r runs) of(s Scenario) Result {
	result, there := r[s]
	if !there {
		result = simulate(s)
		r[s] = result
	}
	return result
}

// print writes a table, after the runs that it needs.
func (t *Table) print(w io.Writer, from Scenario, results runs) {
	fmt.Fprintf(w, "%s:\n\n| |", t.Title)
	for _, c := range t.Columns {
		fmt.Fprintf(w, " %s |", c.Title)
	}
	fmt.Fprint(w, "\n|---|")
	for range t.Columns {
		fmt.Fprint(w, "---|")
	}
	fmt.Fprintln(w)
	for _, way := range ways {
		fmt.Fprintf(w, "| %s |", way.Name)
		for _, c := range t.Columns {
			s := from
			way.Set(&s)
			c.Set(&s)
			r := results.of(s)
			fmt.Fprintf(w, " %s |", c.Figure(&r, &s))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}
