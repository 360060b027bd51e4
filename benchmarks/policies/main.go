// Policies shows which share of its requests a store answers, by what it gives up when it is full.
//
//	go run ./benchmarks/policies
//	go run ./benchmarks/policies -size 10000 -requests 2000000
//
// All policies see the same traces, made from one seed. "ply" is the real cache, asked through its RoundTripper, and otter and theine are those libraries;
// the others are models that know keys and costs and nothing else. In the first table all entries count the same. In the others bodies have 0.2 to 200 KB,
// and what ply charges for an entry is its cost for all.
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
	equal, sized := measure(traces(*size, *requests, *seed)), measure(sizedTraces(*size, *requests, *seed))
	equal.print(os.Stdout, "hits", func(s share) float64 { return s.hits })
	sized.print(os.Stdout, "hits, by sizes", func(s share) float64 { return s.hits })
	sized.print(os.Stdout, "bytes of hits", func(s share) float64 { return s.bytes })
}

// store is asked for a key, and keeps it as it sees fit. It reports whether it had it.
type store interface{ ask(key uint64) bool }

var policies = []struct {
	name string
	make func(room) store
}{
	{"lru", newLRU},
	{"slru, a fifth on probation", newSegmented},
	{"lru behind tinylfu", newTinyLFU},
	{"w-tinylfu", newWindowed},
	{"s3-fifo", newS3FIFO},
	{"otter", newOtter},
	{"theine", newTheine},
	{"ply", newPly},
}

// result is what each policy answered of each trace.
type result struct {
	traces []trace
	shares [][]share // by policy and trace
}

func measure(traces []trace) result {
	r := result{traces: traces, shares: make([][]share, len(policies))}
	for i, p := range policies {
		for _, t := range traces {
			r.shares[i] = append(r.shares[i], ratio(p.make, t))
		}
	}
	return r
}

func (r result) print(to io.Writer, what string, of func(share) float64) {
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, what)
	for _, t := range r.traces {
		fmt.Fprintf(w, "\t| %s", t.name)
	}
	fmt.Fprint(w, "\n---")
	for range r.traces {
		fmt.Fprint(w, "\t| ---")
	}
	fmt.Fprintln(w)
	for i, p := range policies {
		fmt.Fprint(w, p.name)
		for _, s := range r.shares[i] {
			fmt.Fprintf(w, "\t| %.1f %%", 100*of(s))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	w.Flush()
}

// share is the part of the counted requests that a store answers, and of the bytes of their bodies.
type share struct{ hits, bytes float64 }

func ratio(make func(room) store, t trace) share {
	s := make(t.room)
	if c, ok := s.(interface{ close() }); ok {
		defer c.close()
	}
	var hits, counted, hitBytes, bytes int64
	for i, key := range t.keys {
		hit := s.ask(key)
		if i < t.warm || t.counts != nil && !t.counts(key) {
			continue
		}
		size := int64(1)
		if t.room.size != nil {
			size = int64(t.room.size(key))
		}
		counted++
		bytes += size
		if hit {
			hits++
			hitBytes += size
		}
	}
	return share{float64(hits) / float64(counted), float64(hitBytes) / float64(bytes)}
}
