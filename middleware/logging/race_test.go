//go:build race

package logging_test

// underRace says that the race detector is on, which empties pools now and then.
const underRace = true
