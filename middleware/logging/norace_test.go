//go:build !race

package logging_test

const underRace = false
