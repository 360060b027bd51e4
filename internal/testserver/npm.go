//go:build unix

package testserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
)

// NPM returns a directory with the files at the top of fsys, among which are package.json and package-lock.json, and with the packages that these require.
// The first test of a machine makes it in the user's cache directory, by a rename, so that several may try. Where npm cannot install the packages the test is skipped, or fails if CI is set.
// A lock file without addresses of packages lets npm take them from where it is set up to.
func NPM(tb testing.TB, name string, fsys fs.FS) (dir string) {
	tb.Helper()
	files, sum := map[string][]byte{}, sha256.New()
	names, err := fs.Glob(fsys, "*")
	for _, name := range names {
		text, readErr := fs.ReadFile(fsys, name)
		if err == nil {
			err = readErr
		}
		files[name] = text
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	if err != nil {
		tb.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir = filepath.Join(cache, "ply-tests", name+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	installed := func() bool { _, err := os.Stat(filepath.Join(dir, "node_modules")); return err == nil }
	if installed() {
		return dir
	}
	npm := Find(tb, "npm")
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
		testutil.SkipUnlessCI(tb, fmt.Sprintf("npm cannot install %s: %v\n%s", name, err, out))
	}
	if err := os.Rename(made, dir); err != nil && !installed() {
		tb.Fatal(err)
	}
	return dir
}
