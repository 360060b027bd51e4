//go:build unix

package benchmarks

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is how long the processors have worked for this process, its garbage collections included: what other processes do counts less than in elapsed time.
func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
