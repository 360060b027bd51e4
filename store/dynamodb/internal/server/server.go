//go:build unix

// Package server runs dynalite, which speaks DynamoDB's protocol, for a test.
package server

import (
	"embed"
	"io/fs"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/plyhttp/ply/internal/testserver"
)

// dynalite are the requirements that npm installs, and what keeps dynalite running. The lock file has no addresses of packages, so that npm takes them from where it is set up to.
//
//go:embed dynalite/package.json dynalite/package-lock.json dynalite/guard.js
var dynalite embed.FS

const script = "node_modules/dynalite/cli.js"

// Start starts a server that keeps its tables in a directory, so that they are there after it was killed.
// Where there is no node and no npm the test is skipped, or fails if CI is set.
func Start(tb testing.TB) *testserver.Server {
	tb.Helper()
	node := testserver.Find(tb, "node", "nodejs")
	files, err := fs.Sub(dynalite, "dynalite")
	if err != nil {
		tb.Fatal(err)
	}
	dir := testserver.NPM(tb, "dynalite", files)
	data := tb.TempDir()
	s := testserver.New(tb, node, func(port int) []string {
		return []string{"--require", filepath.Join(dir, "guard.js"), filepath.Join(dir, script), "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--path", data, "--createTableMs", "0", "--deleteTableMs", "0"}
	})
	s.Start()
	return s
}
