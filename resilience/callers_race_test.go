//go:build race

package resilience_test

// callers of the simulation. The race detector looks at each access to memory: a fifth of the callers show it the same ones.
const callers = 2_000
