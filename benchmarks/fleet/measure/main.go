// Measure has real processes use a real store: what a call takes, and how often a fleet calls the store and the origin, beside the model of benchmarks/fleet.
//
//	redis-server --port 6390 --save '' --appendonly no &
//	go run ./benchmarks/fleet/measure -url redis://127.0.0.1:6390 -url postgres://app@127.0.0.1:5490/cache
//
// -url may come several times. The store is used as any cache would use it, and not emptied: give one that nothing else needs.
// The processes are this program, started again; they end with it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/plyhttp/ply/benchmarks/fleet/internal/fleet"
	_ "github.com/plyhttp/ply/store/postgres"
	_ "github.com/plyhttp/ply/store/redis"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run() error {
	if text := os.Getenv(jobVariable); text != "" {
		return child(text)
	}
	var urls []string
	flag.Func("url", "of a store; may come several times", func(u string) error { urls = append(urls, u); return nil })
	processes := flag.Int("processes", 8, "how many there are")
	calls := flag.Duration("calls", 2*time.Second, "for how long each sort of call is made")
	traffic := flag.Duration("time", 20*time.Second, "for how long the fleet has traffic")
	flag.Parse()
	if len(urls) == 0 {
		return errors.New("give a store: -url redis://127.0.0.1:6390")
	}
	typical := make(map[string]time.Duration)
	fmt.Printf("%d processes. A call by one caller of each: median, 99th percentile; calls a second of all; the same with eight callers of each:\n\n", *processes)
	fmt.Print("| store | call | median, p99 | a second | median, p99 | a second |\n|---|---|---|---|---|---|\n")
	for _, u := range urls {
		median, err := measureCalls(u, *processes, *calls)
		if err != nil {
			return err
		}
		typical[u] = median
	}
	fmt.Printf("\nThe fleet and the model, %v:\n\n| store | set up as | requests | to the origin | in the model | calls for each request | in the model |\n|---|---|---|---|---|---|---|\n", *traffic)
	for _, u := range urls {
		for _, way := range []int{2, 5} {
			if err := measureFleet(u, fleet.Ways[way], *processes, *traffic, typical[u]); err != nil {
				return err
			}
		}
	}
	return nil
}

// name returns the scheme of a URL, which has no secret.
func name(storeURL string) string {
	u, err := url.Parse(storeURL)
	if err != nil {
		return "?"
	}
	return u.Scheme
}

// measureCalls prints a row for each sort of call, and returns the median of the reads by one caller.
func measureCalls(u string, processes int, length time.Duration) (median time.Duration, err error) {
	for _, sort := range []string{get, getMulti, put} {
		row := fmt.Sprintf("| %s | %s |", name(u), sort)
		for _, callers := range []int{1, 8} {
			reports, err := together(processes, job{Sort: sort, URL: u, Callers: callers, For: length})
			if err != nil {
				return 0, err
			}
			all := merged(reports)
			row += fmt.Sprintf(" %s, %s | %.0f |", short(all.quantile(.5)), short(all.quantile(.99)), float64(all.Calls)/length.Seconds())
			if sort == getMulti && callers == 1 {
				median = all.quantile(.5)
			}
		}
		fmt.Println(row)
	}
	return median, nil
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// measureFleet prints a row for a way to set the caches up.
func measureFleet(u string, way fleet.Way, processes int, length, call time.Duration) error {
	s := fleet.Base()
	s.Processes, s.Keys, s.Rate, s.TTL, s.Duration = processes, 200, 50, 5*time.Second, length
	s.Call, s.Delay = call, call
	way.Set(&s)
	o := newOrigin(s.Origin)
	defer o.Close()
	reports, err := together(processes, job{Sort: traffic, URL: u, Scenario: s, Origin: fmt.Sprint(o.URL, "/", time.Now().UnixNano(), "/")})
	if err != nil {
		return err
	}
	all, model := merged(reports), fleet.Simulate(s)
	fmt.Printf("| %s | %s | %d | %d | %d | %.2f | %.2f |\n", name(u), way.Name, all.Requests, o.asked.Load(), model.Fetches,
		float64(all.Calls)/float64(max(all.Requests, 1)), model.CallsPerRequest())
	return nil
}
