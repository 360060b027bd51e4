//go:build unix

// Package server runs a real memcached for a test.
package server

import (
	"fmt"
	"os"
	"testing"

	"github.com/plyhttp/ply/internal/testserver"
)

// Start starts a memcached with 256 MB, and further arguments. Without one on the machine the test is skipped, or fails if CI is set.
func Start(tb testing.TB, args ...string) *testserver.Server {
	tb.Helper()
	s := testserver.New(tb, testserver.Find(tb, "memcached"), func(port int) []string {
		all := []string{"-l", "127.0.0.1", "-p", fmt.Sprint(port), "-U", "0", "-m", "256"}
		if os.Geteuid() == 0 { // which it refuses to be
			all = append(all, "-u", "root")
		}
		return append(all, args...)
	})
	s.Start()
	return s
}
