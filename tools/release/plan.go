package main

import (
	"cmp"
	"fmt"
	"go/version"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// plan is what a release takes.
type plan struct {
	version  string
	order    []*module // a module after those that it requires
	edits    []string  // what changes in which file
	problems []string  // what must be mended first
}

var released = regexp.MustCompile(`^v[01]\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// placeholder is what modules of the repository require of each other between releases.
const placeholder = "v0.0.0"

// tag is the tag of a module: its directory and the version.
func (m *module) tag(version string) string {
	if m.dir == "." {
		return version
	}
	return m.dir + "/" + version
}

func notesOf(version string) string { return "docs/release-notes-" + version + ".md" }

// plan says what a release of a version takes.
func (r *repository) plan(v string) *plan {
	p := &plan{version: v}
	if !released.MatchString(v) {
		p.problemf("%s is not a version such as v0.1.0: from v2 on, module paths would end in the major version", v)
		return p
	}
	siblings := map[string]*module{}
	for _, m := range r.modules {
		siblings[m.path()] = m
	}
	hidden := map[string]*module{}
	for _, m := range r.others {
		hidden[m.path()] = m
	}
	p.order = inOrder(r.modules, siblings)
	for _, m := range p.order {
		if slices.Contains(r.tags, m.tag(v)) {
			p.problemf("the tag %s exists, and tags never move", m.tag(v))
		}
		p.checkRequirements(m, siblings, hidden)
		p.checkReplacements(m, siblings)
	}
	p.checkChangelog(r.changelog)
	if !r.notes(v) {
		p.problemf("there is no %s", notesOf(v))
	}
	return p
}

func (p *plan) problemf(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

func (m *module) goMod() string { return path.Join(m.dir, "go.mod") }

// checkRequirements looks at what a module requires of its siblings: none is older or not released, and none needs a newer Go.
func (p *plan) checkRequirements(m *module, siblings, hidden map[string]*module) {
	for _, require := range m.Require {
		if hidden[require.Path] != nil {
			p.problemf("%s requires %s, which is not released", m.goMod(), require.Path)
		}
		sibling := siblings[require.Path]
		if sibling == nil {
			continue
		}
		if require.Version != placeholder {
			p.problemf("%s requires %s %s, want %s until the release", m.goMod(), require.Path, require.Version, placeholder)
		}
		if version.Compare("go"+m.Go, "go"+sibling.Go) < 0 {
			p.problemf("%s says go %s, and requires %s, which says go %s", m.goMod(), m.Go, require.Path, sibling.Go)
		}
		if !slices.ContainsFunc(m.Replace, func(each replacement) bool { return each.Old.Path == require.Path }) {
			p.problemf("%s requires %s and does not replace it by its directory", m.goMod(), require.Path)
		}
		p.edits = append(p.edits, fmt.Sprintf("%s: require %s %s", m.goMod(), require.Path, p.version))
	}
}

// checkReplacements looks at what a module replaces: siblings alone, each by its directory. All of it goes, for the go command installs no program whose module replaces anything.
func (p *plan) checkReplacements(m *module, siblings map[string]*module) {
	for _, replace := range m.Replace {
		sibling := siblings[replace.Old.Path]
		switch {
		case sibling == nil:
			p.problemf("%s replaces %s, and a release may replace nothing", m.goMod(), replace.Old.Path)
			continue
		case replace.New.Version != "" || path.Join(m.dir, replace.New.Path) != sibling.dir:
			p.problemf("%s replaces %s by %s, want its directory %s", m.goMod(), replace.Old.Path, replace.New.Path, sibling.dir)
		}
		p.edits = append(p.edits, fmt.Sprintf("%s: no replace of %s", m.goMod(), replace.Old.Path))
	}
}

// checkChangelog looks for the section of the version, or for changes that are to be in it.
func (p *plan) checkChangelog(text string) {
	sections := map[string]bool{} // by their heading, whether they have an item
	heading := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			heading, _, _ = strings.Cut(strings.Trim(title, "[]"), " ")
			heading = strings.Trim(heading, "[],")
			sections[heading] = false
		} else if heading != "" && strings.HasPrefix(line, "- ") {
			sections[heading] = true
		}
	}
	switch {
	case sections[p.version] && sections["Unreleased"]:
		p.problemf("CHANGELOG.md has a section %s, and changes in Unreleased", p.version)
	case sections[p.version]:
	case sections["Unreleased"]:
		p.edits = append(p.edits, fmt.Sprintf("CHANGELOG.md: the section Unreleased becomes %q with the date; a new, empty Unreleased stands above it", p.version))
	default:
		p.problemf("CHANGELOG.md has no changes for %s", p.version)
	}
}

// inOrder puts each module after those that it requires; else by path.
func inOrder(modules []*module, siblings map[string]*module) (order []*module) {
	sorted := slices.SortedFunc(slices.Values(modules), func(a, b *module) int { return cmp.Compare(a.path(), b.path()) })
	done := map[*module]bool{}
	var add func(*module)
	add = func(m *module) {
		if done[m] {
			return
		}
		done[m] = true
		for _, require := range m.Require {
			if sibling := siblings[require.Path]; sibling != nil {
				add(sibling)
			}
		}
		order = append(order, m)
	}
	for _, m := range sorted {
		add(m)
	}
	return order
}

// write writes a plan for a person.
func (p *plan) write(out io.Writer) {
	fmt.Fprintf(out, "tags, in this order:\n")
	for _, m := range p.order {
		fmt.Fprintf(out, "  %-34s %s, go %s\n", m.tag(p.version), m.path(), m.Go)
	}
	fmt.Fprintf(out, "\nchanges of the release commit:\n")
	for _, edit := range p.edits {
		fmt.Fprintf(out, "  %s\n", edit)
	}
	if len(p.problems) > 0 {
		fmt.Fprintf(out, "\nwhat does not fit:\n")
	}
	for _, problem := range p.problems {
		fmt.Fprintf(out, "  %s\n", problem)
	}
}
