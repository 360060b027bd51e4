//go:build unix

// Package server runs dynalite, which speaks DynamoDB's protocol, for a test.
package server

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/internal/testutil"
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
	dir := install(tb)
	data := tb.TempDir()
	s := testserver.New(tb, node, func(port int) []string {
		return []string{"--require", filepath.Join(dir, "guard.js"), filepath.Join(dir, script), "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--path", data, "--createTableMs", "0", "--deleteTableMs", "0"}
	})
	s.Start()
	return s
}

// install returns the directory that dynalite is in. The first test of a machine installs it in the user's cache directory, by a rename, so that several may try.
func install(tb testing.TB) string {
	tb.Helper()
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "guard.js"} {
		text, err := dynalite.ReadFile("dynalite/" + name)
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = text
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "ply-tests", "dynalite-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(filepath.Join(dir, script)); err == nil {
		return dir
	}
	npm := testserver.Find(tb, "npm")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		tb.Fatal(err)
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), "install-")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(made)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(made, name), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = made
	if out, err := cmd.CombinedOutput(); err != nil {
		testutil.SkipUnlessCI(tb, fmt.Sprintf("npm cannot install dynalite: %v\n%s", err, out))
	}
	if err := os.Rename(made, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, script)); there != nil {
			tb.Fatal(err)
		}
	}
	return dir
}
