package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asPly has the test binary behave as the ply command: the tests run real processes, without a second program to build.
const asPly = "PLY_TEST_AS_PLY"

func TestMain(m *testing.M) {
	if os.Getenv(asPly) != "" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// plyEnv is the environment of a ply process: a home and a cache directory of the test's own, and nothing of the developer's.
func plyEnv(t *testing.T, more ...string) []string {
	t.Helper()
	home := t.TempDir()
	return append([]string{asPly + "=1", "HOME=" + home, "XDG_CACHE_HOME=" + home + "/cache", "LocalAppData=" + home, "PATH=" + os.Getenv("PATH"),
		"SystemRoot=" + os.Getenv("SystemRoot"), "TERM=xterm", "GORACE=atexit_sleep_ms=0"}, more...)
}

// A plyRun is a ply command that a test runs.
type plyRun struct {
	env   []string
	dir   string
	stdin string
}

// result is what a process printed and its exit code.
type result struct {
	stdout, stderr string
	code           int
}

// command returns the process for args, not yet started.
func (p plyRun) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	if cmd.Env == nil {
		cmd.Env = plyEnv(t)
	}
	if p.stdin != "" {
		cmd.Stdin = strings.NewReader(p.stdin)
	}
	return cmd
}

// run runs the process to its end.
func (p plyRun) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(t.Context(), t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// runPly runs a ply command in surroundings of its own.
func runPly(t *testing.T, args ...string) result {
	t.Helper()
	return plyRun{}.run(t, args...)
}

// serve starts a server on loopback for the test.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}
