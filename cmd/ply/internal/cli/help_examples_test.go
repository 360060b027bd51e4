package cli

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// helpExamples are the command lines of the examples of a command and those below it, without what is said of each at the end of its line.
func helpExamples(c *cobra.Command) (lines []string) {
	for line := range strings.Lines(c.Example) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
		if line != "" {
			lines = append(lines, line)
		}
	}
	for _, below := range c.Commands() {
		lines = append(lines, helpExamples(below)...)
	}
	return lines
}

// An exampleShell runs command lines as a person does who has read them in --help, with other hosts and stores in the places of those that are not here.
type exampleShell struct {
	dir      string
	env      []string
	replaced *strings.Replacer
}

func newExampleShell(t *testing.T, replaced ...string) *exampleShell {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the examples are for a POSIX shell")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	s := &exampleShell{dir: t.TempDir(), replaced: strings.NewReplacer(replaced...)}
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "bin"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "bin", "ply"), []byte("#!/bin/sh\nexec '"+self+"' \"$@\"\n"), 0o700))
	s.env = append(plyEnv(t, "TOKEN=s3cret"), "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"))
	return s
}

func (s *exampleShell) run(ctx context.Context, line string) (code int, output string) {
	cmd := exec.CommandContext(ctx, "sh", "-c", s.replaced.Replace(line))
	cmd.Dir, cmd.Env = s.dir, s.env
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// Each example that --help shows does what it says. Without a terminal, what asks before it removes much refuses instead.
func TestExamplesOfHelpWork(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Surrogate-Key", "product-42")
		w.Header().Set("ETag", `"1"`)
		if strings.Contains(r.Header.Get("If-None-Match"), `"1"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, r.URL.Path)
	})
	host := strings.TrimPrefix(origin.URL, "http://")
	s := newExampleShell(t, "https://api.example.com", origin.URL, "https://example.com", origin.URL, "api.example.com", host, " URL", " "+origin.URL,
		"redis://localhost:6379", redisServer(t), "| jq .URL", "| cat", "ssh host ", "")
	for _, before := range []string{
		"ply get --har session.har https://example.com https://example.com/app.js && cp session.har week.har",
		"ply get --cache ./cache https://example.com/users https://example.com/users/1",
		"ply get --cache sqlite:cache.db https://example.com/users",
		"ply get --cache redis://localhost:6379 https://example.com/users",
		"ply get https://example.com/users",
		`printf 'HTTP/1.1 200 OK\nCache-Control: max-age=60\n' > answer.txt`,
		"printf '%s/1.txt %s/2.txt' https://example.com https://example.com > urls",
		"ply cache export default backup.plycache",
	} {
		code, output := s.run(t.Context(), before)
		require.Zero(t, code, "%s: %s", before, output)
	}
	code, key := s.run(t.Context(), `ply cache ls default '*/users' --format json | sed 's/.*"Key":"\(........\).*/\1/'`)
	require.Zero(t, code, key)
	s.replaced = strings.NewReplacer(append([]string{"3f9a2c11", strings.TrimSpace(key)}, "https://api.example.com", origin.URL, "https://example.com", origin.URL, "api.example.com", host, " URL", " "+origin.URL,
		"redis://localhost:6379", s.replaced.Replace("redis://localhost:6379"), "| jq .URL", "| cat", "ssh host ", "")...)
	codes := map[string]int{"ply cache clear default": exitUsage}
	examples := helpExamples(newRootCommand(newEnv(Stdio{Getenv: func(string) string { return "" }})))
	require.Greater(t, len(examples), 40)
	for _, line := range slices.Compact(examples) {
		if strings.HasPrefix(line, "ply proxy ") {
			continue // below
		}
		code, output := s.run(t.Context(), "ply get https://example.com/users -o users") // an example before has removed it
		require.Zero(t, code, output)
		code, output = s.run(t.Context(), line)
		assert.Equal(t, codes[line], code, "%s: %s", line, output)
		delete(codes, line)
	}
	assert.Empty(t, slices.Collect(maps.Keys(codes)), "no such examples")
}

func TestExamplesOfTheProxysHelpWork(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "answered") })
	store := redisServer(t)
	for _, line := range helpExamples(newProxyCommand(newEnv(Stdio{Getenv: func(string) string { return "" }}))) {
		line = strings.NewReplacer("https://api.example.com", origin.URL, "http://10.0.0.5:3000", origin.URL, "redis://localhost:6379", store, "127.0.0.1:8080", "127.0.0.1:0", "127.0.0.1:7117", "127.0.0.1:0", " :8080", " :0").Replace(line)
		p := startProxy(t, strings.Fields(line)[2:]...)
		_, port, _ := strings.Cut(strings.TrimPrefix(p.url, "http://["), "]:")
		if port != "" { // all addresses
			p.url = "http://127.0.0.1:" + port
		}
		_, body := ask(t, p.url+"/")
		assert.Equal(t, "answered", body, line)
		assert.Equal(t, 0, p.end(t), p.log.String())
	}
}
