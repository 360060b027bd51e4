package cli

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// docs/cli.md shows what get, explain and lint print, but for ports, times, keys, sizes and bars. (The rest of the page is held by examples/cli.)

var changing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
	{regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT`), "DATE"},
	{regexp.MustCompile(`\b\d+m\d+s\b|\b\d+(\.\d+)?(µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`#?\b[0-9a-f]{12}([0-9a-f]{52})?\b`), "KEY"},
	{regexp.MustCompile(`\d+ bytes`), "SIZE"},
	{regexp.MustCompile(`HTTP/1\.[01]`), "HTTP"},
	{regexp.MustCompile(`[█▒░]+`), ""},
	{regexp.MustCompile(`[ ]{2,}`), " "},
}

// shownLines are the lines of a text without what differs from run to run.
func shownLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		for _, c := range changing {
			line = c.what.ReplaceAllString(line, c.by)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// pageBlock returns the lines of the indented block of docs/cli.md that follows a text, and has another one.
func pageBlock(t *testing.T, after, with string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "cli.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), after)
	require.True(t, found, "docs/cli.md does not have %q", after)
	var block strings.Builder
	for line := range strings.Lines(rest) {
		text, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented:
			block.WriteString(text)
		case strings.TrimSpace(line) != "" && strings.Contains(block.String(), with):
			return shownLines(block.String())
		case strings.TrimSpace(line) != "":
			block.Reset()
		}
	}
	t.Fatalf("docs/cli.md has no block with %q after %q", with, after)
	return nil
}

func TestPageShowsWhatGetPrints(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/LICENSE" {
			t.Errorf("a request for %s", r.URL)
		}
		w.Header().Set("Last-Modified", time.Now().Add(-1000*time.Hour).UTC().Format(http.TimeFormat)) // as a server of files has it
		io.WriteString(w, "MIT License\n")
	})
	p := plyRun{env: plyEnv(t)}
	var printed []string
	for range 2 {
		got := p.run(t, "get", "-v", s.URL+"/LICENSE")
		printed = append(append(printed, shownLines(got.stdout)...), shownLines(got.stderr)...)
	}
	got := p.run(t, "get", "--offline", s.URL+"/absent")
	assert.Equal(t, exitNotCached, got.code)
	printed = append(printed, shownLines(got.stderr)...)
	block := pageBlock(t, "## `ply get URL…`", "--offline")
	require.Greater(t, len(block), 20)
	for _, line := range block {
		if !strings.HasPrefix(line, "$ ") && line != "3" { // which is the exit code
			assert.Contains(t, printed, line)
		}
	}

	token := s.URL + "/x?token=abc"
	got = p.run(t, "get", "--curl", "-H", "Authorization: Bearer abc", "--json", `{"a":1}`, token)
	assert.Equal(t, pageBlock(t, "| `--curl` |", "--curl")[1:], shownLines(got.stdout))
}

func TestPageShowsWhatExplainPrints(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300, stale-while-revalidate=60")
		w.Header().Set("Date", time.Now().Add(-time.Second).UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, "an article\n")
	})
	p := plyRun{env: plyEnv(t)}
	require.Equal(t, exitOK, p.run(t, "get", s.URL+"/article").code)
	got := p.run(t, "explain", s.URL+"/article")
	assert.Equal(t, pageBlock(t, "## `ply explain`", "Now, the cache would"), shownLines(got.stdout))

	p.stdin = "HTTP/1.1 200 OK\nCache-Control: private, max-age=60\nSet-Cookie: sid=1\n"
	got = p.run(t, "explain", "--shared", "--response", "-", "https://example.com/me")
	block := pageBlock(t, "ply explain --shared --response - https://example.com/me", "would not be stored")
	lines := shownLines(got.stdout)
	require.Greater(t, len(lines), len(block))
	assert.Equal(t, block, lines[len(lines)-len(block):])
}

func TestPageShowsWhatLintPrints(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300, max-age=0")
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Vary", "User-Agent")
		w.Header().Set("Set-Cookie", "sid=1")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			io.WriteString(z, "a page\n")
			return
		}
		io.WriteString(w, "a page\n")
	})
	got := plyRun{env: plyEnv(t)}.run(t, "lint", s.URL+"/page")
	assert.Equal(t, exitCheck, got.code)
	assert.Equal(t, pageBlock(t, "## `ply lint`", "repeated-directive"), shownLines(got.stdout))
}
