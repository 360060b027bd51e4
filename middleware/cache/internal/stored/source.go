package stored

import "sync/atomic"

// An Updater is [sets.update] for one key.
type Updater func(change func(*Variants) *Variants) error

// Source says which record a copy was read from, and when it was last known to be the present one.
type Source struct {
	Version string
	Checked atomic.Int64 // nanoseconds since 1970
}
