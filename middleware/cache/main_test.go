package cache_test

import (
	"flag"
	"os"
	"testing"
)

// onBytes has rigs without a store of their own keep their responses in a byte store, and onTiers near that, too.
var onBytes, onTiers bool

// TestMain runs all tests several times: what holds for responses in memory holds for those in a byte store, and for copies of these.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, also := range []*bool{&onBytes, &onTiers} {
		if code == 0 && !working("test.fuzz", "test.bench", "test.list") {
			*also = true
			flag.Set("test.skip", noRig)
			code = m.Run()
		}
	}
	os.Exit(code)
}

// noRig are the slow tests that have stores of their own, or none.
const noRig = "^Test(Whichever|Whatever|VariantsOfSeveral|APieceThat|Heap|SmallParts|JoinedParts|TheShortWays|Herd|AHerd|ARevalidatingHerd|WhatIsRemembered|LargeBodies|ValidationsOver|TheOneWhoAsked|Soak|Memory|Sockets?)"

// working tells whether go test does something else than to run tests.
func working(flags ...string) bool {
	for _, name := range flags {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
