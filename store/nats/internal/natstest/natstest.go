//go:build unix

// Package natstest builds and runs a real NATS server for a test.
package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/internal/testutil"
)

// built is the path of the server, or why there is none.
var built = sync.OnceValues(build)

// build builds the server into a directory of this process, which Main removes. Only the first build on a machine takes long.
func build() (path string, err error) {
	dir, err := os.MkdirTemp("", "ply-nats-")
	if err != nil {
		return "", err
	}
	directory = dir
	path = filepath.Join(dir, "server")
	c := exec.Command("go", "build", "-o", path, ".")
	c.Dir, c.Env = filepath.Join("internal", "server"), append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("store/nats/internal/server cannot be built: %w\n%s", err, out)
	}
	return path, nil
}

var directory string

// Main runs the tests of the package store/nats, and removes what it built.
func Main(m *testing.M) int {
	defer func() { os.RemoveAll(directory) }()
	return m.Run()
}

// Start starts a server with JetStream, and further arguments. Without one that can be built the test is skipped, or fails if CI is set.
func Start(tb testing.TB, args ...string) *testserver.Server {
	tb.Helper()
	path, err := built()
	if err != nil {
		testutil.SkipUnlessCI(tb, err)
	}
	s := testserver.New(tb, path, func(port int) []string {
		return append([]string{"-port", fmt.Sprint(port), "-dir", tb.TempDir()}, args...)
	})
	s.Start()
	return s
}
