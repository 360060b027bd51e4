package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// dependency is a module that is not ply's, as a program has it that uses a module of ply's.
type dependency struct {
	Path, Version, Dir string

	licences []string            // SPDX
	files    []string            // where they stand
	users    map[string]struct{} // the modules of ply's that have it, by directory
}

// systems are those whose programs are looked at: some dependencies are those of one system.
var systems = []string{"linux", "darwin", "windows"}

// licenceFile is what the text of a licence, or what it asks to be handed on, is called.
var licenceFile = regexp.MustCompile(`(?i)^(LICEN[CS]E|COPYING|NOTICE|UNLICENSE)([.-].*)?$`)

// dependencies returns those of the released modules, by path, without those of their tests. What is not in the module cache is downloaded.
func dependencies(r *repository) ([]*dependency, error) {
	var (
		mu       sync.Mutex // guards found and failures
		found    = map[string]*dependency{}
		failures []error
		wg       sync.WaitGroup
		slots    = make(chan struct{}, 4)
	)
	for _, m := range r.modules {
		for _, system := range systems {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				listed, err := listDependencies(filepath.Join(r.root, m.dir), system)
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
				for _, d := range listed {
					key := d.Path + "@" + d.Version
					if found[key] == nil {
						d.users = map[string]struct{}{}
						found[key] = d
					}
					found[key].users[m.dir] = struct{}{}
				}
			})
		}
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b *dependency) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
	for _, d := range all {
		if err := d.readLicences(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func listDependencies(dir, system string) ([]*dependency, error) {
	env := []string{"GOOS=" + system, "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly"}
	out, err := outputWith(dir, env, "go", "list", "-deps", "-f", `{{with .Module}}{{if not .Replace}}{{if not .Main}}{"Path":{{printf "%q" .Path}},"Version":{{printf "%q" .Version}},"Dir":{{printf "%q" .Dir}}}{{end}}{{end}}{{end}}`, "./...")
	if err != nil {
		return nil, err
	}
	var all []*dependency
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line == "" || seen[line] {
			continue
		}
		seen[line] = true
		d := &dependency{}
		if err := json.Unmarshal([]byte(line), d); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// readLicences reads the files at the top of the module, and those of what it has taken from others.
func (d *dependency) readLicences() error {
	err := filepath.WalkDir(d.Dir, func(file string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && file != d.Dir && (e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")):
			return filepath.SkipDir
		case e.IsDir() || !licenceFile.MatchString(e.Name()):
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(d.Dir, file)
		if err != nil {
			return err
		}
		d.files = append(d.files, filepath.ToSlash(name))
		for _, id := range licencesOf(string(text)) {
			if !slices.Contains(d.licences, id) {
				d.licences = append(d.licences, id)
			}
		}
		return nil
	})
	if err == nil && len(d.licences) == 0 {
		err = fmt.Errorf("%s@%s: no known licence in %s (files: %v)", d.Path, d.Version, d.Dir, d.files)
	}
	return err
}

const licencesHead = `# Licences

ply is under the MIT licence ([LICENSE](../LICENSE)). What a program that uses a module of ply's contains besides ply and
the standard library stands below: of each dependency the version that ply is tested with, the licences in its source,
and the files that they stand in. Tests and tools need more, which no user downloads into a program.

This page is written by ` + "`go run ./tools/release licences > docs/licences.md`" + `, and a test compares it
with what the modules are made of. ` + "`go run ./tools/release licences -texts`" + ` prints the texts, to be
handed on with the command ` + "`ply`" + `.

`

// writeLicences writes docs/licences.md.
func writeLicences(root string, out io.Writer) error {
	r, err := open(root)
	if err != nil {
		return err
	}
	all, err := dependencies(r)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(licencesHead)
	page.WriteString("## By module of ply\n\n| module | contains |\n|---|---|\n")
	for _, m := range slices.SortedFunc(slices.Values(r.modules), func(a, b *module) int { return cmp.Compare(a.dir, b.dir) }) {
		fmt.Fprintf(&page, "| `%s` | %s |\n", strings.Replace(m.dir, ".", "ply", 1), contents(m, all))
	}
	page.WriteString("\n## By dependency\n\n| dependency | version | licences | files |\n|---|---|---|---|\n")
	for len(all) > 0 {
		n := 1 // of versions: modules of ply's may have different ones, with the same licences
		versions := []string{all[0].Version}
		for ; n < len(all) && all[n].Path == all[0].Path; n++ {
			versions = append(versions, all[n].Version)
		}
		last := all[n-1]
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", last.Path, strings.Join(versions, ", "), strings.Join(last.licences, ", "), strings.Join(last.files, ", "))
		all = all[n:]
	}
	_, err = io.WriteString(out, page.String())
	return err
}

// contents names the dependencies of a module, grouped by licences.
func contents(m *module, all []*dependency) string {
	groups := map[string][]string{}
	for _, d := range all {
		if _, uses := d.users[m.dir]; uses {
			licences := strings.Join(d.licences, ", ")
			groups[licences] = append(groups[licences], strings.TrimPrefix(d.Path, "github.com/"))
		}
	}
	if len(groups) == 0 {
		return "nothing but ply"
	}
	var parts []string
	for _, licences := range slices.Sorted(maps.Keys(groups)) {
		parts = append(parts, strings.Join(groups[licences], ", ")+" ("+licences+")")
	}
	return strings.Join(parts, "; ")
}

// writeTexts writes the texts of the licences of ply, of Go, whose standard library each program contains, and of all dependencies.
func writeTexts(root string, out io.Writer) error {
	r, err := open(root)
	if err != nil {
		return err
	}
	all, err := dependencies(r)
	if err != nil {
		return err
	}
	goroot, err := output(root, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	all = append([]*dependency{
		{Path: "github.com/plyhttp/ply", Dir: root, files: []string{"LICENSE"}},
		{Path: "Go", Dir: strings.TrimSpace(goroot), files: []string{"LICENSE"}},
	}, all...)
	for _, d := range all {
		for _, name := range d.files {
			text, err := os.ReadFile(filepath.Join(d.Dir, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "==== %s, %s\n\n%s\n", strings.TrimSpace(d.Path+" "+d.Version), name, text); err != nil {
				return err
			}
		}
	}
	return nil
}
