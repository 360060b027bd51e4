package ply_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?s)```(go|text)\n(.*?)```")

// TestREADME follows the instructions of README in a new folder: its program, its commands, its output.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	if lines := strings.Count(string(readme), "\n"); lines > 150 {
		t.Errorf("README.md has %d lines, more than 150", lines)
	}
	checkout, err := os.Getwd()
	require.NoError(t, err)
	blocks := fenced.FindAllStringSubmatch(string(readme), 2)
	require.Len(t, blocks, 2)
	program, output := blocks[0][2], blocks[1][2]
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600))
	for _, command := range setupCommands(t, string(readme))[:3] {
		runIn(t, dir, strings.Fields(strings.ReplaceAll(command, "$HOME/ply", checkout))...)
	}
	runIn(t, dir, "go", "vet", ".")
	if out := runIn(t, dir, "go", "run", "."); out != output {
		t.Errorf("the program prints %q, README shows %q", out, output)
	}
}

// Each module that others can require is named in README: the last element of its path, at least.
func TestREADMENamesEachModule(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var found int
	for _, pattern := range []string{"*/go.mod", "*/*/go.mod", "*/*/*/go.mod"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			module := filepath.ToSlash(filepath.Dir(file))
			first, rest, _ := strings.Cut(module, "/")
			if slices.Contains([]string{"benchmarks", "cmd", "examples", "internal", "site", "tools"}, first) || strings.Contains(rest, "test") || rest == "sqlite/drivers" {
				continue
			}
			found++
			if name := "`" + filepath.Base(file[:len(file)-len("/go.mod")]) + "`"; !strings.Contains(string(readme), name) && !strings.Contains(string(readme), module+"`") {
				t.Errorf("README does not say that %s is a module of its own", module)
			}
		}
	}
	require.Greater(t, found, 12)
}

// TestREADMESetsUpEachSubmodule follows README's instructions for a submodule in an empty folder, once for each submodule.
func TestREADMESetsUpEachSubmodule(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	checkout, err := os.Getwd()
	require.NoError(t, err)
	commands := setupCommands(t, string(readme))
	commands = slices.Delete(commands, 2, 3) // one go mod tidy, at the end
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
			for _, command := range commands {
				command = strings.ReplaceAll(strings.ReplaceAll(command, "store/sqlite", module), "$HOME/ply", checkout)
				runIn(t, dir, strings.Fields(command)...)
			}
			runIn(t, dir, "go", "vet", ".")
			if out := runIn(t, dir, "go", "run", "."); out != "<nil>\n" {
				t.Errorf("the program prints %q", out)
			}
		})
	}
}

// setupCommands returns the commands with which README sets up a module: three for the root, then two for a submodule.
func setupCommands(t *testing.T, readme string) []string {
	t.Helper()
	var commands []string
	for _, c := range regexp.MustCompile(`(?m)^    (go mod .*)$`).FindAllStringSubmatch(readme, -1) {
		commands = append(commands, c[1])
	}
	if len(commands) != 5 {
		t.Fatalf("%d commands that set up a module, want 5", len(commands))
	}
	return commands
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
