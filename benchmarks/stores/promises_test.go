package main

import (
	"math"
	"strings"
	"testing"
)

// What a hit of 1 KiB allocates beyond one from memory is bounded: docs/performance.md says by how much.
func TestAllocationsOfAHit(t *testing.T) {
	k := start(t)
	allocations := make(map[string]float64)
	for _, kind := range k.all {
		t.Run(kind.name, func(t *testing.T) { // so that its store is closed before the server ends
			u := warmed(t, kind)
			// The least of several: a store that has just been opened works in the background, and what that allocates is counted, too.
			least := math.Inf(1)
			for range 5 {
				least = min(least, testing.AllocsPerRun(200, func() {
					if err := u.wants(t.Context(), "/fresh/hit", "hit"); err != nil {
						t.Error(err)
					}
				}))
			}
			allocations[kind.name] = least
		})
	}
	for name, got := range allocations {
		most := map[string]float64{"memory": 0, "file": 27, "sqlite": 28, "redis": 32}[name]
		if strings.HasPrefix(name, "memory before ") {
			most = 3 // a copy in this process
		}
		if beyond := got - allocations["memory"]; beyond > most {
			t.Errorf("%s: %.0f allocations beyond a hit from memory, more than %.0f", name, beyond, most)
		} else {
			t.Logf("%s: %.0f", name, beyond)
		}
	}
}
