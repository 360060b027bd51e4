package cache_test

import (
	"flag"
	"os"
	"testing"
)

// onBytes has rigs without a store of their own keep their responses in a byte store.
var onBytes bool

// TestMain runs all tests twice: what holds for responses in memory holds for those in a byte store.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && !working("test.fuzz", "test.bench", "test.list") {
		onBytes = true
		code = m.Run()
	}
	os.Exit(code)
}

// working tells whether go test does something else than to run tests.
func working(flags ...string) bool {
	for _, name := range flags {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
