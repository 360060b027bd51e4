//go:build !unix

package benchmarks

import (
	"testing"
	"time"
)

var started = time.Now()

// processorTime is the elapsed time, where the system has no simple call for that of the processors.
func processorTime(testing.TB) time.Duration { return time.Since(started) }
