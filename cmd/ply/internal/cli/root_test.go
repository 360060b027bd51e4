package cli

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Start-up must be free of work: no store, no connection, no file. A proxy that counts would see a request, a home would have a cache.
func TestStartOpensNothing(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a request for %s", r.URL) })
	home := t.TempDir()
	p := plyRun{env: append(plyEnv(t, "HTTP_PROXY="+s.URL, "HTTPS_PROXY="+s.URL, "PLY_CACHE=redis://127.0.0.1:1"), "HOME="+home, "XDG_CACHE_HOME="+home+"/cache")}
	for _, args := range [][]string{{}, {"--help"}, {"--version"}, {"get", "--help"}, {"completion", "bash"}, {"get"}, {"get", "--curl", "http://example.com"}, {"__complete", "get", "--cache", ""}} {
		p.run(t, args...)
		left, err := os.ReadDir(home)
		require.NoError(t, err)
		assert.Empty(t, left, "%v", args)
	}
}

// What packages do before main runs is start-up that each command pays for. Allocations stand for it, since time depends on the machine.
func TestStartDoesLittleBeforeMain(t *testing.T) {
	got := plyRun{env: plyEnv(t, "GODEBUG=inittrace=1")}.run(t, "--version")
	allocs := 0
	for _, match := range regexp.MustCompile(`(\d+) allocs`).FindAllStringSubmatch(got.stderr, -1) {
		n, err := strconv.Atoi(match[1])
		require.NoError(t, err)
		allocs += n
	}
	assert.Positive(t, allocs)
	assert.Less(t, allocs, 15_000, "a dependency does too much in its init: see GODEBUG=inittrace=1 ply --version")
}

func TestEachCommandTeachesByExamplesAndExitCodes(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "completion" || c.Name() == "help" || c.Hidden {
			return
		}
		assert.NotEmpty(t, c.Short, c.CommandPath())
		assert.NotEmpty(t, c.Example, c.CommandPath())
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(NewRootCommand())
	help := runPly(t, "get", "--help").stdout
	examples, flags, codes := strings.Index(help, "Examples:"), strings.Index(help, "Flags:"), strings.Index(help, ExitCodeHelp)
	assert.True(t, 0 < examples && examples < flags && flags < codes, help)
}

func TestCompletionOffersFlagsStoresAndCachedURLsWithoutSecrets(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") })
	p := plyRun{env: plyEnv(t)}
	p.run(t, "get", s.URL+"/seen", s.URL+"/secret?token=canary")
	got := p.run(t, "__complete", "get", s.URL[:10]).stdout
	assert.Contains(t, got, s.URL+"/seen\n")
	assert.NotContains(t, got, "canary")
	assert.Contains(t, p.run(t, "__complete", "get", "--cache", "").stdout, "memory\nnone\nsqlite:\nredis://\n")
	assert.Contains(t, p.run(t, "__complete", "get", "--format", "").stdout, "text\njson\n")
	for shell, check := range map[string]string{"bash": "bash", "zsh": "zsh", "fish": "fish", "powershell": ""} {
		script := p.run(t, "completion", shell)
		assert.Equal(t, exitOK, script.code)
		assert.Greater(t, len(script.stdout), 1000)
		if path, err := exec.LookPath(check); check != "" && err == nil {
			cmd := exec.CommandContext(t.Context(), path, "-n")
			cmd.Stdin = strings.NewReader(script.stdout)
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s: %s", shell, out)
		}
	}
}

func TestEnvironmentGivesDefaultsThatFlagsOverride(t *testing.T) {
	p := plyRun{env: plyEnv(t, "PLY_FORMAT=xml")}
	got := p.run(t, "get", "--curl", "http://example.com")
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.stderr, `--format is "xml": give text, json`)
	assert.Equal(t, exitOK, p.run(t, "get", "--format", "text", "--curl", "http://example.com").code)
}

// A slip is refused with what was meant, as far as that can be guessed, and without its secrets.
func TestWhatIsNoCommandAndNoURLIsRefusedWithAHint(t *testing.T) {
	assert.Contains(t, runPly(t, "gte").stderr, `there is no command "gte": did you mean get?`)
	assert.Contains(t, runPly(t, "https://h.test/?token=canary").stderr, `there is no command "https://h.test/?token=REDACTED": to get a URL, write ply get URL`)
	for arg, want := range map[string]string{
		"h.test/a?token=canary": `"h.test/a?token=REDACTED" is no URL: write https://h.test/a?token=REDACTED`, "ftp://h.test": `"ftp://h.test" is no URL: write https://HOST/PATH`,
		"u:canary@h.test": "is no URL: write https://HOST/PATH", "localhost:80": `"localhost:80" is no URL: write https://HOST/PATH`,
	} {
		for _, command := range []string{"get", "explain", "lint"} {
			got := runPly(t, command, arg)
			assert.Equal(t, exitUsage, got.code)
			assert.Contains(t, got.stderr, want)
			assert.NotContains(t, got.stderr, "canary")
		}
	}
	assert.Contains(t, runPly(t, "--version").stdout, "ply version ")
}
