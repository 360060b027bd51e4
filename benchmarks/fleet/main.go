// Fleet shows what shared stores, leases and tiers save from one process to ten thousand, in virtual time:
//
//	go run ./benchmarks/fleet
//	go run ./benchmarks/fleet -processes 1,50 -rate 100 -ttl 5m -call 300us
//
// It is a model of ply's rules (internal/fleet) for fleets that no machine could run. The tests run real caches in virtual time with the same traffic, and compare.
// The same seed gives the same figures. go run ./benchmarks/fleet/measure
// has real processes use a real store, and compares, too.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/benchmarks/fleet/internal/fleet"
)

func main() {
	s := fleet.Base()
	sizes := flag.String("processes", "1,10,100,1000,10000", "the sizes of the fleet")
	flag.Float64Var(&s.Rate, "rate", s.Rate, "requests per second of each process")
	flag.IntVar(&s.Keys, "keys", s.Keys, "how many keys there are")
	flag.Float64Var(&s.Skew, "skew", s.Skew, "the exponent of Zipf's law")
	flag.DurationVar(&s.Duration, "duration", s.Duration, "of the traffic, in virtual time")
	flag.DurationVar(&s.TTL, "ttl", s.TTL, "for how long responses are fresh")
	flag.DurationVar(&s.Origin, "origin", s.Origin, "what the origin takes")
	flag.DurationVar(&s.Call, "call", s.Call, "what a call of the store takes")
	flag.DurationVar(&s.Delay, "delay", s.Delay, "what a notification takes")
	flag.Float64Var(&s.Invalidations, "invalidations", s.Invalidations, "per minute")
	flag.Uint64Var(&s.Seed, "seed", s.Seed, "of the traffic")
	flag.Parse()
	var numbers []int
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "fleet: -processes: %q is no number of processes\n", text)
			os.Exit(2)
		}
		numbers = append(numbers, n)
	}
	results := make(runs)
	for _, t := range tables(numbers) {
		t.print(os.Stdout, s, results)
	}
}
