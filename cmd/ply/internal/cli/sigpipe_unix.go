//go:build unix

package cli

import (
	"os/signal"
	"syscall"
)

// ignoreBrokenPipe has a write to a closed pipe fail instead of killing the process, so that stores are closed in order.
func ignoreBrokenPipe() { signal.Ignore(syscall.SIGPIPE) }
