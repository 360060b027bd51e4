package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/stretchr/testify/require"
)

// What docs/cli.md shows of the walk is what the commands print: each block that begins with a prompt, but for ports, times, keys and lengths.
func TestCLIPageShowsWhatTheWalkPrints(t *testing.T) {
	program := buildPly(t)
	if _, err := exec.LookPath("curl"); err != nil {
		testutil.SkipUnlessCI(t, "curl is not installed")
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, program), &out)
	if strings.Contains(out.String(), "s3cret\n") || strings.Contains(out.String(), "key=s3cret ") {
		t.Errorf("a secret is shown:\n%s", &out)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	require.NoError(t, err)
	blocks := promptBlocks(string(page))
	require.NotEmpty(t, blocks)
	printed := normal(out.String())
	for _, block := range blocks {
		if !strings.Contains(printed, normal(block)) {
			t.Errorf("docs/cli.md shows what was not printed:\n%s\n\nprinted:\n%s", block, &out)
		}
	}
}

func TestFailureInTheWalkEndsTheProxy(t *testing.T) {
	program, bin := buildPly(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "curl"), []byte("#!/bin/sh\nexit 7\n"), 0o700))
	t.Setenv("PATH", bin)
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), &out, program), "exit status 7")
	listening := regexp.MustCompile(`(?s)\$ ply proxy .*http://(127\.0\.0\.1:\d+)/`).FindStringSubmatch(out.String())
	require.NotEmpty(t, listening, &out)
	_, err := net.Dial("tcp", listening[1])
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// buildPly builds the command, and returns its path.
func buildPly(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGINT that would end the proxy")
	}
	program := filepath.Join(t.TempDir(), "ply.exe")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "cmd", "ply")
	built, err := build.CombinedOutput()
	require.NoError(t, err, string(built))
	return program
}

// promptBlocks are the commands of the page's sections on cache, proxy and replay, each with its output.
func promptBlocks(page string) (blocks []string) {
	ours, within := false, false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			ours = strings.HasPrefix(heading, "`ply cache`") || strings.HasPrefix(heading, "`ply proxy`") || strings.HasPrefix(heading, "`ply replay`")
		}
		text, indented := strings.CutPrefix(line, "    ")
		switch {
		case !ours || !indented:
			within = within && line == ""
		case strings.HasPrefix(text, "$ "):
			blocks, within = append(blocks, text), true
		case within:
			blocks[len(blocks)-1] += "\n" + text
		}
	}
	return blocks
}

var changing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?`), "TIME"},
	{regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT`), "DATE"},
	{regexp.MustCompile(`\b(\d+h)?\d+m\d+s\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|ms|s|m|h)\b`), "DURATION"},
	{regexp.MustCompile(`ttl=\d+|Age: \d+`), "SECONDS"},
	{regexp.MustCompile(`\b[0-9a-f]{12}([0-9a-f]{52})?\b`), "KEY"},
	{regexp.MustCompile(`ply-[0-9a-f]{8}`), "NAME"},
	{regexp.MustCompile(`\d+(\.\d+)? (B|KiB)\b`), "SIZE"},
	{regexp.MustCompile(`[ ]{2,}`), " "},
	{regexp.MustCompile(`\n+`), "\n"},
}

func normal(text string) string {
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.by)
	}
	return strings.TrimSpace(text)
}
