package store

import "testing"

// No combination is missing, and none has a method too many.
func TestEveryCombinationOfAbilities(t *testing.T) {
	for want := range 1 << 6 {
		if got := abilitiesOf(only(want, &coded{})); got != want {
			t.Errorf("a wrapper for abilities %06b has %06b", want, got)
		}
	}
}
