//go:build !race

package resilience_test

// callers of the simulation.
const callers = 10_000
