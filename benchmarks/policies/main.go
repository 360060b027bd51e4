// Policies shows which share of its requests a store answers, by what it gives up when it is full.
//
//	go run ./benchmarks/policies
//	go run ./benchmarks/policies -size 10000 -requests 2000000
//
// All policies see the same traces, made from one seed. "ply" is the real cache, asked through its RoundTripper;
// the others are models that know keys and nothing else. All entries count the same.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

func main() {
	size := flag.Int("size", 2000, "how many entries a store holds")
	requests := flag.Int("requests", 400_000, "length of each trace")
	seed := flag.Uint64("seed", 1, "what the traces are made from")
	flag.Parse()
	if *size < 10 || *requests < *size {
		fmt.Fprintln(os.Stderr, "policies: give a size of 10 at least, and no fewer requests than that")
		os.Exit(2)
	}
	print(os.Stdout, *size, traces(*size, *requests, *seed))
}

func print(to io.Writer, size int, traces []trace) {
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "hits")
	for _, t := range traces {
		fmt.Fprintf(w, "\t| %s", t.name)
	}
	fmt.Fprint(w, "\n---")
	for range traces {
		fmt.Fprint(w, "\t| ---")
	}
	fmt.Fprintln(w)
	for _, p := range policies {
		fmt.Fprint(w, p.name)
		for _, t := range traces {
			fmt.Fprintf(w, "\t| %.1f %%", 100*ratio(p.make(size), t))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// store is asked for a key, and keeps it as it sees fit. It reports whether it had it.
type store interface{ ask(key uint64) bool }

var policies = []struct {
	name string
	make func(size int) store
}{
	{"lru", newLRU},
	{"slru, a fifth on probation", newSegmented},
	{"lru behind tinylfu", newTinyLFU},
	{"w-tinylfu", newWindowed},
	{"s3-fifo", newS3FIFO},
	{"ply", newPly},
}

// ratio is the share of the counted requests that a store answers.
func ratio(s store, t trace) float64 {
	hits, counted := 0, 0
	for i, key := range t.keys {
		hit := s.ask(key)
		if i < t.warm || t.counts != nil && !t.counts(key) {
			continue
		}
		counted++
		if hit {
			hits++
		}
	}
	return float64(hits) / float64(counted)
}
