// Package attempt lets layers read what a retry layer did, without importing it.
package attempt

import "context"

// Record is what a retry layer tells of one call.
type Record struct {
	Number  int    // of the last attempt, or of the one under way; counts from 1
	Resends int    // how often the call was sent again, redirects included
	Stop    string // why the last attempt was the last; "" while the call is under way
}

// Recorder is a retry layer's own record of a call: a value in the context of each attempt, and its error.
type Recorder interface {
	AttemptRecord() Record
}

// Key is the key of the [Recorder] in a context.
type Key struct{}

// Of returns the record of the call that ctx belongs to, and whether there is one.
func Of(ctx context.Context) (Record, bool) {
	if r, ok := ctx.Value(Key{}).(Recorder); ok {
		return r.AttemptRecord(), true
	}
	return Record{}, false
}
