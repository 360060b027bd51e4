package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// module is one of the modules of a repository, as its go.mod says it.
type module struct {
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
	Replace []replacement

	dir string // from the root of the repository, with slashes
}

type replacement struct {
	Old, New struct{ Path, Version string }
}

func (m *module) path() string { return m.Module.Path }

// repository is what a plan needs to know of a repository.
type repository struct {
	root      string
	modules   []*module // released ones
	others    []*module // those that are not released: tests, tools, examples
	changelog string
	tags      []string
	notes     func(version string) bool // reports whether there are release notes
}

// unreleased are the directories whose modules are not for users. What is below a directory named internal or testdata is not either.
var unreleased = []string{"benchmarks", "examples", "inspect/browsertest", "site", "store/sqlite/drivers", "tools"}

func isReleased(dir string) bool {
	for _, each := range unreleased {
		if dir == each || strings.HasPrefix(dir, each+"/") {
			return false
		}
	}
	return !strings.Contains("/"+dir+"/", "/internal/") && !strings.Contains("/"+dir+"/", "/testdata/")
}

// open reads a repository.
func open(root string) (*repository, error) {
	r := &repository{root: root}
	names, err := output(root, "git", "ls-files", "*go.mod", "go.mod")
	if err != nil {
		return nil, err
	}
	for name := range strings.Lines(names) {
		m := &module{dir: path.Dir(strings.TrimSpace(name))}
		text, err := output(filepath.Join(root, m.dir), "go", "mod", "edit", "-json")
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), m); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if isReleased(m.dir) {
			r.modules = append(r.modules, m)
		} else {
			r.others = append(r.others, m)
		}
	}
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	r.changelog = string(changelog)
	tags, err := output(root, "git", "tag", "--list")
	if err != nil {
		return nil, err
	}
	r.tags = strings.Fields(tags)
	r.notes = func(version string) bool {
		_, err := os.Stat(filepath.Join(root, notesOf(version)))
		return err == nil
	}
	return r, nil
}

func repositoryRoot() (string, error) {
	root, err := output(".", "git", "rev-parse", "--show-toplevel")
	return strings.TrimSpace(root), err
}

// output runs a command, and returns what it prints. Modules are read by themselves, without the workspace.
func output(dir string, command ...string) (string, error) {
	return outputWith(dir, nil, command...)
}

func outputWith(dir string, env []string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s in %s: %w\n%s", strings.Join(command, " "), dir, err, exit.Stderr)
	}
	return string(out), err
}
