package stream

import (
	"fmt"
	"runtime"
)

// Panic is a panic below the cache, or a call of runtime.Goexit, on its way to the goroutine that it would have happened on without a cache.
type Panic struct {
	// Of a fan-out's readers, only the one that asked for the read repeats the panic; see Reader.conclude.
	to *Reader // nil if none had asked: then the first to come so far does
	// With Exited the goroutine has ended by runtime.Goexit, and Value is nil.
	Value  any
	Exited bool
}

// Again panics, or ends the goroutine, as was done below.
// It does not return. The caller holds no lock, and has given back what it holds.
func (r *Panic) Again() {
	if r.Exited {
		runtime.Goexit()
	}
	panic(r.Value)
}

// Error is for the readers that did not ask for the read which has panicked.
func (r *Panic) Error() string {
	if r.Exited {
		return "cache: a handler below has ended its goroutine"
	}
	return fmt.Sprintf("cache: a handler below has panicked: %v", r.Value)
}

// WithoutPanic runs f where no caller could recover its panic, which would end the process. The panic is dropped.
func WithoutPanic(f func()) {
	defer func() { recover() }()
	f()
}
