package main

import (
	"fmt"
	"io"
	"time"

	"github.com/plyhttp/ply/benchmarks/fleet/internal/fleet"
)

// A Table has a row for each way, and a column for each scenario and figure.
type Table struct {
	Title   string
	Columns []Column
}

// A Column is a figure of a scenario.
type Column struct {
	Title  string
	Set    func(*fleet.Scenario)
	Figure func(*fleet.Result, *fleet.Scenario) string
}

func perKeyMinute(r *fleet.Result, s *fleet.Scenario) string { return rounded(r.PerKeyMinute(s)) }
func callsPerRequest(r *fleet.Result, _ *fleet.Scenario) string {
	return rounded(r.CallsPerRequest())
}
func afterwards(r *fleet.Result, _ *fleet.Scenario) string {
	mean, most := r.InMinuteFrom(int(trouble / time.Second))
	return fmt.Sprintf("%.0f, %d", mean, most)
}
func stale(r *fleet.Result, _ *fleet.Scenario) string {
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
	in := func(title string, set func(*fleet.Scenario)) Column {
		return Column{title, func(s *fleet.Scenario) {
			s.Processes, s.Duration, s.Invalidations = 100, trouble+time.Minute, 0
			set(s)
		}, afterwards}
	}
	return []Table{
		{"Requests to the origin, for each key and minute", columns(sizes, perKeyMinute)},
		{"Calls of the store, for each request", columns(sizes, callsPerRequest)},
		{"For how long a response is served after its invalidation: median, 99th percentile", columns(sizes, stale)},
		{"Requests to the origin in a second of that minute, 100 processes: on average, at most", []Column{
			in("nothing happens", func(*fleet.Scenario) {}),
			in("all are replaced at once", func(s *fleet.Scenario) { s.Deploy = trouble }),
			in("they are replaced within the minute", func(s *fleet.Scenario) { s.Deploy, s.DeployTakes = trouble, time.Minute }),
			in("the store is away for 30 s", func(s *fleet.Scenario) { s.Down, s.Up = trouble, trouble+30*time.Second }),
			in("and comes back empty", func(s *fleet.Scenario) { s.Down, s.Up, s.Emptied = trouble, trouble+30*time.Second, true }),
		}},
	}
}

func columns(sizes []int, figure func(*fleet.Result, *fleet.Scenario) string) []Column {
	var all []Column
	for _, n := range sizes {
		all = append(all, Column{fmt.Sprint(n), func(s *fleet.Scenario) { s.Processes = n }, figure})
	}
	return all
}

// runs remembers results, so that several tables share a run.
type runs map[fleet.Scenario]fleet.Result

func (r runs) of(s fleet.Scenario) fleet.Result {
	result, there := r[s]
	if !there {
		result = fleet.Simulate(s)
		r[s] = result
	}
	return result
}

// print writes a table, after the runs that it needs.
func (t *Table) print(w io.Writer, from fleet.Scenario, results runs) {
	fmt.Fprintf(w, "%s:\n\n| |", t.Title)
	for _, c := range t.Columns {
		fmt.Fprintf(w, " %s |", c.Title)
	}
	fmt.Fprint(w, "\n|---|")
	for range t.Columns {
		fmt.Fprint(w, "---|")
	}
	fmt.Fprintln(w)
	for _, way := range fleet.Ways {
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
