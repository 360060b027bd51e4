package mdcode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
)

var raceFlags []string

// A Checker checks the blocks of pages. It is for one goroutine at a time, but for [Checker.Run].
type Checker struct {
	dir      string
	packages *packages
	fset     *token.FileSet
	importer types.Importer // shared by all checks
}

// New returns a checker of blocks that import what the module in dir can import. The blocks know the packages of the standard library, those of ply,
// and more, given by their paths, by name.
func New(ctx context.Context, dir string, more ...string) (*Checker, error) {
	p, err := newPackages(ctx, dir, raceFlags, more)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	return &Checker{dir: dir, packages: p, fset: fset, importer: importer.ForCompiler(fset, "gc", p.open)}, nil
}

// Check type-checks the blocks of one page for which wanted is true. Each error begins with page and line, as the go command prints them.
func (c *Checker) Check(ctx context.Context, page []Block, wanted func(Block) bool) []error {
	var problems []error
	var sources, all []*source
	for _, b := range page {
		src, err := parse(b)
		if err == nil && wanted(b) {
			problems = append(problems, unformatted(b)...)
		}
		switch {
		case err == nil:
			all = append(all, src)
			if wanted(b) {
				sources = append(sources, src)
			}
		case wanted(b):
			problems = append(problems, syntax(err)...)
		}
	}
	units := make([]*unit, 0, len(sources))
	var imports []string
	for _, src := range sources {
		u, err := c.assemble(src, all)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		units = append(units, u)
		imports = append(imports, u.imports...)
	}
	slices.Sort(imports)
	if err := c.packages.load(ctx, slices.Compact(imports)); err != nil {
		return append(problems, err)
	}
	for _, u := range units {
		problems = append(problems, c.check(u)...)
	}
	return problems
}

// unformatted returns an error for a block that gofmt would change.
func unformatted(b Block) []error {
	formatted, err := format.Source([]byte(b.Code))
	if err != nil {
		return nil // reported by the parser
	}
	want, got := strings.Split(string(formatted), "\n"), strings.Split(b.Code, "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return []error{fmt.Errorf("%s:%d: not formatted: gofmt writes %q", b.Page, b.Line+i, want[i])}
		}
	}
	return nil
}

func syntax(err error) []error {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return []error{err}
	}
	first := *list[0] // those after it are its consequences
	return []error{fmt.Errorf("%s:%d: syntax: %s", first.Pos.Filename, first.Pos.Line, first.Msg)}
}

// A unit is a block with all that it needs, as the files of a package.
type unit struct {
	block   Block
	kind    kind
	files   []string
	imports []string
}

// assemble finds what a block does not declare itself.
func (c *Checker) assemble(src *source, page []*source) (*unit, error) {
	u := &unit{block: src.block, kind: src.kind}
	if src.kind == program {
		u.files, u.imports = []string{position(src.block, src.block.Line) + src.block.Code}, slices.Collect(maps.Keys(src.imports))
		return u, nil
	}
	declared, err := noted(src.block)
	if err != nil {
		return nil, err
	}
	included := []*source{src}
	used := map[string]string{} // names of the prelude, with their types
	for i := 0; i < len(included); i++ {
		imports := c.resolve(included[i], func(name string) bool {
			if typ, ok := declared[name]; ok {
				used[name] = typ
				return true
			}
			if found := declaring(name, src, page); found != nil {
				if !slices.Contains(included, found) {
					included = append(included, found)
				}
				return true
			}
			if typ, ok := predeclared[name]; ok {
				used[name] = typ
				return true
			}
			return false
		})
		for _, other := range page { // the methods of types that are declared here
			if other.kind == declarations && !slices.Contains(included, other) && slices.ContainsFunc(other.methodsOf, func(t string) bool {
				return slices.Contains(included[i].declares, t)
			}) {
				included = append(included, other)
			}
		}
		u.files = append(u.files, "package p\n"+importing(imports)+included[i].header+included[i].text())
		u.imports = slices.AppendSeq(append(u.imports, imports...), maps.Keys(included[i].imports))
	}
	prelude, imports, err := c.prelude(used)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: the comment above: %w", src.block.Page, src.block.Line, err)
	}
	u.files, u.imports = append(u.files, prelude), append(u.imports, imports...)
	return u, nil
}

// declaring returns the block that declares a name: the last one before src, else the first one after it.
func declaring(name string, src *source, page []*source) (found *source) {
	for _, other := range page {
		if other == src || other.kind != declarations || !slices.Contains(other.declares, name) {
			continue
		}
		if other.block.Line < src.block.Line || found == nil {
			found = other
		}
	}
	return found
}

// resolve calls known for each name that a block does not declare, and returns the packages that the others are.
func (c *Checker) resolve(src *source, known func(name string) bool) (imports []string) {
	var imported []string
	for path, name := range src.imports {
		imported = append(imported, cmp.Or(name, c.packages.names[path], lastElement(path)))
	}
	for _, id := range src.unresolved {
		name := id.Name
		selected := src.selected[name]
		path, isPackage := c.packages.byName[name]
		isPackage = isPackage && ast.IsExported(selected)
		switch {
		case slices.Contains(imported, name):
		case isPackage && predeclared[name] == "string": // url.Parse
			imports = append(imports, path)
		case types.Universe.Lookup(name) != nil:
		case known(name):
		case isPackage:
			imports = append(imports, path)
		}
	}
	slices.Sort(imports)
	return slices.Compact(imports)
}

func importing(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&b, "import %q\n", path)
	}
	return b.String()
}

// prelude returns a file that declares names, and its imports. Their types may use predeclared ones.
func (c *Checker) prelude(used map[string]string) (file string, imports []string, err error) {
	for {
		var decls strings.Builder
		for _, name := range slices.Sorted(maps.Keys(used)) {
			decls.WriteString(declare(name, used[name]))
		}
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+decls.String(), 0)
		if err != nil {
			return "", nil, err
		}
		src := &source{selected: map[string]string{}, imports: map[string]string{}}
		src.read(f)
		more := false
		imports = c.resolve(src, func(name string) bool {
			typ, ok := predeclared[name]
			if ok {
				used[name], more = typ, true
			}
			return ok
		})
		if !more {
			return "package p\n" + importing(imports) + decls.String(), imports, nil
		}
	}
}

// check type-checks a unit and returns the errors that are in its block, or in the comment above it.
func (c *Checker) check(u *unit) (problems []error) {
	var files []*ast.File
	for i, text := range u.files {
		name := fmt.Sprintf("unit%d.go", i)
		if i == len(u.files)-1 && u.kind != program {
			name = prelude
		}
		f, err := parser.ParseFile(c.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return syntax(err)
		}
		files = append(files, f)
	}
	last := u.block.Line + strings.Count(u.block.Code, "\n")
	conf := types.Config{Importer: c.importer, Error: func(err error) {
		var failed types.Error
		if !errors.As(err, &failed) || u.kind != program && forgiven(failed) {
			return
		}
		pos := c.fset.Position(failed.Pos)
		switch {
		case pos.Filename == u.block.Page && pos.Line >= u.block.Line && pos.Line <= last:
			problems = append(problems, fmt.Errorf("%s:%d: %s", pos.Filename, pos.Line, failed.Msg))
		case pos.Filename == prelude:
			problems = append(problems, fmt.Errorf("%s:%d: the comment above the block: %s", u.block.Page, u.block.Line, failed.Msg))
		case strings.HasPrefix(pos.Filename, "unit"):
			problems = append(problems, fmt.Errorf("%s:%d: %s", u.block.Page, u.block.Line, failed.Msg))
		}
	}}
	_, _ = conf.Check("p", c.fset, files, nil) // the errors have been collected
	return problems
}

// prelude is the file of the names that a block does not declare.
const prelude = "prelude.go"

// forgiven reports whether an error is about something that is not used, as much is in a piece of a program.
func forgiven(err types.Error) bool {
	return err.Soft && (strings.HasPrefix(err.Msg, "declared and not used") || strings.HasSuffix(err.Msg, "imported and not used"))
}
