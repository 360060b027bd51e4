//go:build unix

// Package server runs a real redis-server for a test.
package server

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/plyhttp/ply/internal/testserver"
)

// Server is a redis-server on a port of 127.0.0.1 that ends with its test.
type Server = testserver.Server

// Start starts a server that keeps nothing on disk, with further arguments of redis-server. Without one on the machine the test is skipped, or fails if CI is set.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := New(tb, args...)
	s.Start()
	return s
}

// StartValkey is Start with a valkey-server. Without one the test is skipped, with CI set, too: not each system has a package of it.
func StartValkey(tb testing.TB) *Server {
	tb.Helper()
	path, err := exec.LookPath("valkey-server")
	if err != nil {
		tb.Skip("there is no valkey-server")
	}
	s := of(tb, path, nil)
	s.Start()
	return s
}

// New returns a server that does not run yet.
func New(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return of(tb, find(tb), args)
}

// of returns a server of the program at path.
func of(tb testing.TB, path string, args []string) *Server {
	tb.Helper()
	return testserver.New(tb, path, func(port int) []string {
		return append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--dir", tb.TempDir(), "--maxmemory", "256mb", "--loglevel", "warning"}, args...)
	})
}

func find(tb testing.TB) string {
	tb.Helper()
	return testserver.Find(tb, "redis-server", "valkey-server")
}

// FreePort returns a port that was free a moment ago.
func FreePort(tb testing.TB) int {
	tb.Helper()
	return testserver.FreePort(tb)
}

// Sentinel starts a sentinel with a configuration file, which it will rewrite.
func Sentinel(tb testing.TB, config string) *Server {
	tb.Helper()
	s := testserver.New(tb, find(tb), func(port int) []string {
		return []string{config, "--sentinel", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", tb.TempDir()}
	})
	s.Start()
	return s
}
