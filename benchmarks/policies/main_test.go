package main

import (
	"slices"
	"strings"
	"testing"
)

// What docs/performance.md says of ply's policy, beside plain LRU. The hashes of a process are its own, so ply's figures differ a little from run to run.
func TestAScanDoesNotDriveOutWhatIsAskedForAgainAndAgain(t *testing.T) {
	const size, requests, seed = 600, 30_000, 1
	for _, trace := range traces(size, requests, seed) {
		plain, ply := ratio(newLRU(size), trace), ratio(newPly(size), trace)
		t.Logf("%s: %.3f, lru %.3f", trace.name, ply, plain)
		var least float64
		switch trace.name {
		case "skewed", "hot set that shifts":
			least = plain + 0.03
		case "skewed, beside scans":
			least = plain + 0.08
		case "loop, 1.1 × size":
			least = 0.4
		}
		if ply < least {
			t.Errorf("%s: ply answers %.3f, want %.3f at least; lru answers %.3f", trace.name, ply, least, plain)
		}
	}
}

func TestTracesComeFromTheirSeed(t *testing.T) {
	one, same, other := traces(100, 1000, 1), traces(100, 1000, 1), traces(100, 1000, 2)
	for i, trace := range one {
		if len(trace.keys) != 1000 {
			t.Errorf("%s: %d requests", trace.name, len(trace.keys))
		}
		if !slices.Equal(trace.keys, same[i].keys) {
			t.Errorf("%s: differs with the same seed", trace.name)
		}
		if slices.Equal(trace.keys, other[i].keys) != strings.HasPrefix(trace.name, "loop") {
			t.Errorf("%s: what another seed changes", trace.name)
		}
	}
}

func TestNoStoreHoldsMoreThanItMay(t *testing.T) {
	const size = 50
	for _, p := range policies {
		s, hits := p.make(size), 0
		for key := range uint64(20 * size) {
			s.ask(key % (3 * size))
		}
		for key := range uint64(3 * size) { // each key once: what is taken in now is not asked for again
			if s.ask(key) {
				hits++
			}
		}
		if hits > size {
			t.Errorf("%s has %d keys in room for %d", p.name, hits, size)
		}
	}
}
