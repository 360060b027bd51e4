package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// switches is the file that joins the package: mutateOn says whether a mutant is on, and records that it was reached when the tests are traced.
const switches = `package %s

import (
	"os"
	"strconv"
	"sync"
)

var mutateActive, mutateReached = func() (int, *os.File) {
	id, err := strconv.Atoi(os.Getenv("MUTANT"))
	if err != nil {
		id = -1
	}
	var f *os.File
	if path := os.Getenv("MUTANT_REACHED"); path != "" {
		f, _ = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	return id, f
}()

var mutateSeen sync.Map

func mutateOn(id int) bool {
	if mutateReached != nil {
		if _, again := mutateSeen.LoadOrStore(id, true); !again {
			mutateReached.WriteString(strconv.Itoa(id) + "\n")
		}
	}
	return mutateActive == id
}

type mutateOrdered interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64 | ~string
}

type mutateNumber interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64
}

func mutateLess[T mutateOrdered](id int, a, b T) bool           { return a < b || mutateOn(id) && a == b }
func mutateLessEqual[T mutateOrdered](id int, a, b T) bool      { return a < b || !mutateOn(id) && a == b }
func mutateGreater[T mutateOrdered](id int, a, b T) bool        { return a > b || mutateOn(id) && a == b }
func mutateGreaterEqual[T mutateOrdered](id int, a, b T) bool   { return a > b || !mutateOn(id) && a == b }

func mutateAdd[T mutateNumber](id int, a, b T) T {
	if mutateOn(id) {
		return a - b
	}
	return a + b
}

func mutateSub[T mutateNumber](id int, a, b T) T {
	if mutateOn(id) {
		return a + b
	}
	return a - b
}

func mutateNext[T mutateNumber](id int, n T) T {
	if mutateOn(id) {
		return n + 1
	}
	return n
}

func mutateError(id int, err error) error {
	if mutateOn(id) {
		return nil
	}
	return err
}
`

// instrument writes the mutated files of p into work and returns the mutants and the path of an overlay for the go command.
func instrument(p listed, only []string, work string) ([]mutant, string, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, "", err
		}
		files = append(files, f)
	}
	info, err := check(p, fset, files)
	if err != nil {
		return nil, "", err
	}
	var mutants []mutant
	replace := map[string]string{}
	for i, name := range p.GoFiles {
		if only != nil && !slices.Contains(only, name) {
			continue
		}
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, "", err
		}
		w := &writer{fset: fset, info: info, src: src, name: name, next: len(mutants), edits: map[int]*edit{}, bound: map[ast.Expr]bool{}, rules: map[*ast.CaseClause]bool{}, marked: marked(fset, files[i])}
		w.file(files[i])
		mutants = append(mutants, w.mutants...)
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, w.apply(), 0o600); err != nil {
			return nil, "", err
		}
		replace[filepath.Join(p.Dir, name)] = path
	}
	path := filepath.Join(work, "switches.go")
	if err := os.WriteFile(path, fmt.Appendf(nil, switches, p.Name), 0o600); err != nil {
		return nil, "", err
	}
	replace[filepath.Join(p.Dir, "zz_mutate.go")] = path
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, "", err
	}
	identify(mutants)
	overlay := filepath.Join(work, "overlay.json")
	return mutants, overlay, os.WriteFile(overlay, b, 0o600)
}

// check finds the types of p, from the export data of what it imports.
func check(p listed, fset *token.FileSet, files []*ast.File) (*types.Info, error) {
	out, err := output(exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", p.ImportPath))
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			exports[path] = file
		}
	}
	look := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", look)}
	_, err = conf.Check(p.ImportPath, fset, files, info)
	return info, err
}

// marked returns the lines whose comment says that mutants there change nothing.
func marked(fset *token.FileSet, f *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//mutate:equivalent") {
				lines[fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

// An edit is what goes in at one offset: what closes an earlier expression, then what opens another, then what replaces a token.
type edit struct {
	closes, opens string
	skip          int
	instead       string
}

// A writer collects the edits of one file. All mutants are in the text at once, so they only insert, and nest as the expressions do.
type writer struct {
	fset    *token.FileSet
	info    *types.Info
	src     []byte
	name    string
	next    int
	edits   map[int]*edit
	marked  map[int]bool
	rules   map[*ast.CaseClause]bool // cases of a switch without a tag: conditions
	current string                   // the function
	bound   map[ast.Expr]bool        // what stands beside < and its like, which is moved already
	mutants []mutant
}

func (w *writer) at(pos token.Pos) *edit {
	off := w.fset.Position(pos).Offset
	if w.edits[off] == nil {
		w.edits[off] = &edit{}
	}
	return w.edits[off]
}

// wrap puts text around a node. Nodes are visited from the outside in.
func (w *writer) wrap(n ast.Node, before, after string) {
	w.at(n.Pos()).opens += before
	e := w.at(n.End())
	e.closes = after + e.closes
}

func (w *writer) text(n ast.Node) string {
	s := string(w.src[w.fset.Position(n.Pos()).Offset:w.fset.Position(n.End()).Offset])
	return strings.Join(strings.Fields(s), " ")
}

func (w *writer) add(n ast.Node, original, mutated string) int {
	id, line := w.next, w.fset.Position(n.Pos()).Line
	w.next++
	w.mutants = append(w.mutants, mutant{
		id: id, file: w.name, function: w.current, line: line, text: w.lineText(line),
		original: clip(original), mutated: clip(mutated), equivalent: w.marked[line],
	})
	return id
}

func (w *writer) lineText(line int) string {
	lines := bytes.SplitN(w.src, []byte("\n"), line+1)
	return strings.Join(strings.Fields(string(lines[line-1])), " ")
}

func clip(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}

func (w *writer) apply() []byte {
	var out bytes.Buffer
	for off := 0; off <= len(w.src); off++ {
		if e := w.edits[off]; e != nil {
			out.WriteString(e.closes + e.opens + e.instead)
			off += e.skip
			if e.skip > 0 {
				off--
				continue
			}
		}
		if off < len(w.src) {
			out.WriteByte(w.src[off])
		}
	}
	return out.Bytes()
}

func (w *writer) file(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			w.current = fn.Name.Name
			if fn.Recv != nil {
				w.current = strings.TrimPrefix(w.text(fn.Recv.List[0].Type), "*") + "." + w.current
			}
			w.node(fn.Body, fn.Type)
		}
	}
}

// node finds what can be changed in n, which is in a function of type fn.
func (w *writer) node(n ast.Node, fn *ast.FuncType) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			w.node(n.Body, n.Type)
			return false
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.ArrayType, *ast.CaseClause:
			return w.inside(n, fn)
		case *ast.KeyValueExpr:
			w.node(n.Value, fn)
			return false
		case *ast.BlockStmt:
			w.statements(n.List)
		case *ast.CommClause:
			w.statements(n.Body)
		case *ast.IfStmt:
			w.condition(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag == nil {
				for _, c := range n.Body.List {
					w.rules[c.(*ast.CaseClause)] = true
				}
			}
		case *ast.ReturnStmt:
			w.returned(n, fn)
		case *ast.BinaryExpr:
			return w.binary(n)
		case *ast.BasicLit:
			w.number(n)
		}
		return true
	})
}

// inside goes into the parts of a node that are not constant by the language.
func (w *writer) inside(n ast.Node, fn *ast.FuncType) bool {
	if c, ok := n.(*ast.CaseClause); ok {
		if w.rules[c] {
			for _, cond := range c.List {
				w.condition(cond)
				w.node(cond, fn)
			}
		}
		w.statements(c.Body)
		for _, s := range c.Body {
			w.node(s, fn)
		}
	}
	return false
}

// statements leaves out those whose absence compiles.
func (w *writer) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			call, ok := s.X.(*ast.CallExpr)
			if f, isName := fun(call).(*ast.Ident); ok && isName && f.Name == "panic" {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || w.blank(s) {
				continue
			}
		case *ast.IncDecStmt, *ast.SendStmt:
		default:
			continue
		}
		id := w.add(s, w.text(s), "(left out)")
		w.wrap(s, fmt.Sprintf("if !mutateOn(%d) { ", id), " }")
	}
}

func fun(c *ast.CallExpr) ast.Expr {
	if c == nil {
		return nil
	}
	return c.Fun
}

func (w *writer) blank(s *ast.AssignStmt) bool {
	return !slices.ContainsFunc(s.Lhs, func(x ast.Expr) bool { id, ok := x.(*ast.Ident); return !ok || id.Name != "_" })
}

// condition negates the condition of an if, or of a case where the switch has no tag, unless it is a comparison, which is changed as one, or joins others.
func (w *writer) condition(cond ast.Expr) {
	if _, ok := ast.Unparen(cond).(*ast.BinaryExpr); ok || !w.isBool(cond) {
		return
	}
	id := w.add(cond, w.text(cond), "!("+w.text(cond)+")")
	w.wrap(cond, "(", fmt.Sprintf(") != mutateOn(%d)", id))
}

func (w *writer) isBool(x ast.Expr) bool {
	t := w.info.Types[x]
	b, ok := t.Type.(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0 && t.Value == nil
}

// returned has a function return nil in place of an error.
func (w *writer) returned(s *ast.ReturnStmt, fn *ast.FuncType) {
	if fn.Results == nil || len(s.Results) == 0 || len(s.Results) != fn.Results.NumFields() {
		return
	}
	declared, ok := fn.Results.List[len(fn.Results.List)-1].Type.(*ast.Ident)
	last := s.Results[len(s.Results)-1]
	if id, isName := last.(*ast.Ident); !ok || declared.Name != "error" || isName && id.Name == "nil" {
		return
	}
	if _, many := w.info.Types[last].Type.(*types.Tuple); many {
		return
	}
	id := w.add(last, "return "+w.text(last), "return nil")
	w.wrap(last, fmt.Sprintf("mutateError(%d, ", id), ")")
}

var bounds = map[token.Token][2]string{
	token.LSS: {"mutateLess", "<="}, token.LEQ: {"mutateLessEqual", "<"}, token.GTR: {"mutateGreater", ">="}, token.GEQ: {"mutateGreaterEqual", ">"},
}

var sums = map[token.Token][2]string{token.ADD: {"mutateAdd", "-"}, token.SUB: {"mutateSub", "+"}}

// binary changes comparisons, operands of && and ||, and sums. It reports whether its operands are to be visited.
func (w *writer) binary(x *ast.BinaryExpr) bool {
	if w.info.Types[x].Value != nil { // a constant
		w.constant(x)
		return false
	}
	changed := func(op string) string { return w.text(x.X) + " " + op + " " + w.text(x.Y) }
	switch x.Op {
	case token.EQL, token.NEQ:
		if w.isBool(x) {
			op := map[token.Token]string{token.EQL: "!=", token.NEQ: "=="}[x.Op]
			w.wrap(x, "((", fmt.Sprintf(") != mutateOn(%d))", w.add(x, w.text(x), changed(op))))
		}
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		if w.isBool(x) && !w.generic(x.X) && !w.generic(x.Y) {
			w.bound[ast.Unparen(x.X)], w.bound[ast.Unparen(x.Y)] = true, true
			w.wrap(x, "((", fmt.Sprintf(") != mutateOn(%d))", w.add(x, w.text(x), "!("+w.text(x)+")")))
			w.call(x, bounds[x.Op][0], w.add(x, w.text(x), changed(bounds[x.Op][1])))
		}
	case token.LAND, token.LOR:
		w.operands(x)
	case token.ADD, token.SUB:
		if b, ok := w.info.Types[x].Type.Underlying().(*types.Basic); ok && b.Info()&(types.IsInteger|types.IsFloat) != 0 && !w.generic(x) {
			w.call(x, sums[x.Op][0], w.add(x, w.text(x), changed(sums[x.Op][1])))
		}
	}
	return true
}

// operands leaves out the operands of && or ||, one by one: of "a && b && c", three.
func (w *writer) operands(x *ast.BinaryExpr) {
	for _, y := range []ast.Expr{x.X, x.Y} {
		if inner, ok := ast.Unparen(y).(*ast.BinaryExpr); !w.isBool(y) || ok && inner.Op == x.Op {
			continue
		}
		if x.Op == token.LAND {
			w.wrap(y, "((", fmt.Sprintf(") || mutateOn(%d))", w.add(y, w.text(y)+" &&", "true &&")))
		} else {
			w.wrap(y, "((", fmt.Sprintf(") && !mutateOn(%d))", w.add(y, w.text(y)+" ||", "false ||")))
		}
	}
}

// call makes a call of a binary expression: f(id, x, y).
func (w *writer) call(x *ast.BinaryExpr, f string, id int) {
	w.wrap(x, fmt.Sprintf("%s(%d, ", f, id), ")")
	e := w.at(x.OpPos)
	e.instead, e.skip = ",", len(x.Op.String())
}

// generic reports whether the type of x is a type parameter or one that has no name here.
func (w *writer) generic(x ast.Expr) bool {
	_, ok := w.info.Types[x].Type.(*types.TypeParam)
	return ok
}

// number makes a literal one higher.
func (w *writer) number(lit *ast.BasicLit) {
	if lit.Kind == token.INT {
		w.constant(lit)
	}
}

// constant makes a constant expression of literals alone one higher, if its type is one that has a name everywhere.
func (w *writer) constant(x ast.Expr) {
	b, ok := w.info.Types[x].Type.(*types.Basic)
	if !ok || b.Info()&types.IsInteger == 0 || b.Info()&types.IsUntyped != 0 || w.bound[x] {
		return
	}
	named := false
	ast.Inspect(x, func(n ast.Node) bool {
		_, id := n.(*ast.Ident)
		named = named || id
		return true
	})
	if named {
		return
	}
	id := w.add(x, w.text(x), w.text(x)+"+1")
	w.wrap(x, fmt.Sprintf("mutateNext[%s](%d, ", b.Name(), id), ")")
}
