//go:build race

package plyotel_test

// underRace says that the race detector is on, which empties pools now and then.
const underRace = true
