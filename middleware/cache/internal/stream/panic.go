package stream

import (
	"fmt"
	"runtime"
)

// Panic is a panic below the cache, or a call of runtime.Goexit, on its way to the goroutine that it would have happened on without a cache.
type Panic struct {
	to     *Reader // nil for whoever comes first
	Value  any
	Exited bool
}

// Again does what was done below.
func (r *Panic) Again() {
	if r.Exited {
		runtime.Goexit()
	}
	panic(r.Value)
}

// Error is for those who did not ask for what has panicked.
func (r *Panic) Error() string {
	if r.Exited {
		return "cache: a handler below has ended its goroutine"
	}
	return fmt.Sprintf("cache: a handler below has panicked: %v", r.Value)
}

// WithoutPanic does something behind the back of those whom a panic could reach: there it would end the process.
func WithoutPanic(f func()) {
	defer func() { recover() }()
	f()
}
