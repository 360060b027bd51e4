package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// try releases the modules of a plan into a proxy in a temporary directory, in their order: each is changed as the plan says, tidied against those before it, and added.
// Then a module outside of the repository requires all of them, and installs the commands, as users do.
func (r *repository) try(p *plan, out io.Writer) error {
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if err := r.copyTo(tree); err != nil {
		return err
	}
	px := &proxy{dir: filepath.Join(work, "proxy"), licence: filepath.Join(tree, "LICENSE")}
	env, err := px.environment(work, p.order[0].path())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nthe release, in %s:\n", work)
	for _, m := range p.order {
		dir := filepath.Join(tree, m.dir)
		if err := p.apply(m, dir, env); err != nil {
			return err
		}
		if err := px.add(m.path(), p.version, dir); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s@%s\n", m.path(), p.version)
	}
	return p.use(filepath.Join(work, "user"), env, out)
}

// copyTo copies what git knows of the work tree.
func (r *repository) copyTo(tree string) error {
	names, err := output(r.root, "git", "ls-files", "-z")
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(r.root, name))
		if os.IsNotExist(err) {
			continue // removed and not committed
		}
		if err != nil {
			return err
		}
		to := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// apply changes the go.mod and go.sum of a module as its release needs it.
func (p *plan) apply(m *module, dir string, env []string) error {
	siblings := map[string]bool{}
	for _, each := range p.order {
		siblings[each.path()] = true
	}
	edit := []string{"go", "mod", "edit"}
	for _, each := range m.Replace {
		edit = append(edit, "-dropreplace="+each.Old.Path)
	}
	for _, each := range m.Require {
		if siblings[each.Path] {
			edit = append(edit, "-require="+each.Path+"@"+p.version)
		}
	}
	if len(edit) > 3 {
		if _, err := outputWith(dir, env, edit...); err != nil {
			return err
		}
	}
	_, err := outputWith(dir, env, "go", "mod", "tidy")
	return err
}

// use is what users do: a module that requires each of the released ones, and go install of each command.
func (p *plan) use(dir string, env []string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, err := outputWith(dir, env, "go", "mod", "init", "example.com/user"); err != nil {
		return err
	}
	get := []string{"go", "get"}
	for _, m := range p.order {
		get = append(get, m.path()+"@"+p.version)
	}
	if _, err := outputWith(dir, env, get...); err != nil {
		return err
	}
	fmt.Fprintf(out, "  a module of a user requires all of them\n")
	for _, m := range p.order {
		if !strings.HasPrefix(m.dir, "cmd/") {
			continue
		}
		bin := filepath.Join(filepath.Dir(dir), "bin")
		if _, err := outputWith(dir, append(env, "GOBIN="+bin), "go", "install", "-trimpath", m.path()+"@"+p.version); err != nil {
			return err
		}
		said, err := outputWith(dir, env, filepath.Join(bin, filepath.Base(m.dir)), "--version")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  go install %s@%s: %s", m.path(), p.version, said)
	}
	return nil
}
