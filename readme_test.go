package ply_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestREADME follows the instructions of README in a new module, with README's own code.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	if lines := strings.Count(string(readme), "\n"); lines > 150 {
		t.Errorf("README.md has %d lines, more than 150", lines)
	}
	checkout, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program(t, string(readme))), 0o600))

	runIn(t, dir, "go", "mod", "init", "example.com/app")
	for _, command := range setupCommands(t, string(readme))[:2] {
		runIn(t, dir, strings.Fields(strings.ReplaceAll(command, "/path/to/ply", checkout))...)
	}
	runIn(t, dir, "go", "vet", ".")
	if out := runIn(t, dir, "go", "run", "."); out != "ply works\n" {
		t.Errorf("the program prints %q", out)
	}
}

// TestREADMESetsUpEachSubmodule follows README's instructions for a submodule in an empty folder, once for each submodule.
func TestREADMESetsUpEachSubmodule(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	checkout, err := os.Getwd()
	require.NoError(t, err)
	commands := setupCommands(t, string(readme))[2:]
	for module, body := range map[string]string{
		"store/redis": `s, err := redis.Open("redis://127.0.0.1:1", redis.Options{})
			if err == nil { err = s.Close() }`,
		"store/postgres": `s, err := postgres.Open("postgres://127.0.0.1:1/db", postgres.Options{})
			if err == nil { err = s.Close() }`,
		"store/sqlite": `s, err := sqlite.Open("cache.db", sqlite.Options{})
			if err == nil { err = s.Close() }`,
		"middleware/decode": `err := decode.Options{}.Validate()
			_ = decode.New`,
		"telemetry/otel": `_, err := plyotel.New(plyotel.Options{})`,
	} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			main := "package main\n\nimport (\n\"fmt\"\n\"github.com/plyhttp/ply\"\n\"github.com/plyhttp/ply/" + module + "\"\n)\n\n" +
				"var _ = ply.New\n\nfunc main() {\n" + body + "\nfmt.Println(err)\n}\n"
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o600))
			runIn(t, dir, "go", "mod", "init", "example.com/app")
			for _, command := range commands {
				command = strings.ReplaceAll(strings.ReplaceAll(command, "store/sqlite", module), "/path/to/ply", checkout)
				runIn(t, dir, strings.Fields(command)...)
			}
			runIn(t, dir, "go", "vet", ".")
			if out := runIn(t, dir, "go", "run", "."); out != "<nil>\n" {
				t.Errorf("the program prints %q", out)
			}
		})
	}
}

// setupCommands returns the commands with which README sets up a module: two for the root, then two for a submodule.
func setupCommands(t *testing.T, readme string) []string {
	t.Helper()
	var commands []string
	for _, c := range regexp.MustCompile(`(?m)^    (go mod .*)$`).FindAllStringSubmatch(readme, -1) {
		commands = append(commands, c[1])
	}
	if len(commands) != 4 {
		t.Fatalf("%d commands that set up a module, want 4", len(commands))
	}
	return commands
}

// program makes a whole program of the pieces in README.
func program(t *testing.T, readme string) string {
	t.Helper()
	pieces := fenced.FindAllStringSubmatch(readme, -1)
	if len(pieces) != 3 {
		t.Fatalf("%d pieces of Go, want 3", len(pieces))
	}
	return `package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
)

type (
	User    struct{ Name string }
	Problem struct{ Title string }
)

func main() { fmt.Println("ply works") }

func first(ctx context.Context) error {
` + pieces[0][1] + `
	_ = user
	return err
}

func second(c *cache.Cache) *http.Client {
` + pieces[1][1] + `
	return hc
}

func third(ctx context.Context, client *ply.Client) error {
` + pieces[2][1] + `
	resp.Body.Close()
	return err
}

var _ = []any{first, second, third}
`
}

func runIn(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, &stderr)
	}
	return string(out)
}
