//go:build race

package cache_test

// underRace says that the race detector makes everything some ten times slower.
const underRace = true
