//go:build race

package mdcode

// With the race detector, the packages have been compiled for it: their export data is there already.
func init() { raceFlags = []string{"-race"} }
