package mdcode

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// predeclared are the names that each block may use, and their types.
var predeclared = map[string]string{
	"ctx": "context.Context", "client": "*ply.Client", "hc": "*http.Client", "c": "*cache.Cache", "req": "*http.Request", "resp": "*http.Response",
	"err": "error", "s": "store.Store", "t": "*testing.T", "w": "http.ResponseWriter", "url": "string", "token": "string", "logger": "*slog.Logger",
	"User": "struct{ ID int; Name string }",
}

type kind int

const (
	program kind = iota
	declarations
	statements
)

// source is a block as a file of Go.
type source struct {
	block      Block
	kind       kind
	header     string // declarations of imports at the beginning of the block
	body       string // the rest
	line       int    // of the rest
	unresolved []*ast.Ident
	selected   map[string]string // a name that a selector has at its left, and one of the names at its right
	imports    map[string]string // what it imports itself: the names that it gives, if any, by path
	declares   []string          // at the top level
	methodsOf  []string          // types that it declares methods of
	isTest     bool
}

// parse finds out what a block is. Its error has the line of the page.
func parse(b Block) (*source, error) {
	src := &source{block: b, body: b.Code, line: b.Line, selected: map[string]string{}, imports: map[string]string{}}
	fset := token.NewFileSet()
	if packageClause.MatchString(b.Code) {
		src.kind = program
		f, err := parser.ParseFile(fset, "", position(b, b.Line)+b.Code, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		src.read(f)
		src.isTest = strings.HasSuffix(f.Name.Name, "_test") || src.importsTesting()
		return src, nil
	}
	src.splitImports()
	src.kind = declarations
	f, err := parser.ParseFile(fset, "", "package p\n"+src.header+src.text(), parser.ParseComments)
	if err == nil {
		src.read(f)
		return src, nil
	}
	if declaration.MatchString(src.body) {
		return nil, err
	}
	src.kind = statements
	f, err = parser.ParseFile(fset, "", "package p\n"+src.header+src.text(), parser.ParseComments)
	if err != nil {
		return nil, err
	}
	src.read(f)
	src.declares = nil // the function is the only one
	return src, nil
}

var (
	packageClause = regexp.MustCompile(`^(//[^\n]*\n|\s)*package \w+`)
	declaration   = regexp.MustCompile(`^(//[^\n]*\n|\s)*func (\w|\()`)
	bareReturn    = regexp.MustCompile(`(?m)^\s*return$`)
)

// splitImports moves the declarations of imports from the beginning of the block.
func (src *source) splitImports() {
	const clause = "package p\n"
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", clause+src.body, parser.ImportsOnly)
	if err != nil && f == nil || len(f.Decls) == 0 {
		return
	}
	end := fset.Position(f.Decls[len(f.Decls)-1].End()).Offset - len(clause)
	src.header = position(src.block, src.block.Line) + src.body[:end] + "\n"
	src.line += strings.Count(src.body[:end], "\n")
	src.body = src.body[end:]
}

// text is the block without its imports, with a comment that says where on the page it is.
func (src *source) text() string {
	code := position(src.block, src.line) + src.body
	if src.kind != statements {
		return code
	}
	if bareReturn.MatchString(src.body) {
		return "func _() {\n" + code + "\n}\n"
	}
	return "func _() error {\n" + code + "\n//line generated:1\nreturn nil\n}\n"
}

func position(b Block, line int) string { return fmt.Sprintf("//line %s:%d\n", b.Page, line) }

// read notes which names a file uses and declares.
func (src *source) read(f *ast.File) {
	src.unresolved = f.Unresolved
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				src.selected[x.Name] = s.Sel.Name
			}
		}
		return true
	})
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		src.imports[p] = ""
		if spec.Name != nil {
			src.imports[p] = spec.Name.Name
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				src.declares = append(src.declares, d.Name.Name)
			} else {
				src.methodsOf = append(src.methodsOf, receiver(d))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					src.declares = append(src.declares, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						src.declares = append(src.declares, name.Name)
					}
				}
			}
		}
	}
}

func (src *source) importsTesting() bool {
	_, ok := src.imports["testing"]
	return ok
}

func receiver(d *ast.FuncDecl) (name string) {
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return name
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// lastElement is the name that a package has if its path ends with it.
func lastElement(importPath string) string {
	if base := path.Base(importPath); !majorVersion.MatchString(base) {
		return base
	}
	return path.Base(path.Dir(importPath))
}

// noted returns the declarations that a block's comment stands for: of a type if the name is exported, else of a variable.
func noted(b Block) (map[string]string, error) {
	declared := map[string]string{}
	if b.Note == "" {
		return declared, nil
	}
	text := "func(" + b.Note + ")"
	expr, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: the comment above, %q, does not read like the parameters of a function: %w", b.Page, b.Line, b.Note, err)
	}
	fn := expr.(*ast.FuncType)
	for _, field := range fn.Params.List {
		if len(field.Names) == 0 {
			return nil, fmt.Errorf("%s:%d: the comment above, %q, has a name without a type", b.Page, b.Line, b.Note)
		}
		for _, name := range field.Names {
			declared[name.Name] = text[field.Type.Pos()-1 : field.Type.End()-1]
		}
	}
	return declared, nil
}

// declare returns the declaration of a name.
func declare(name, typ string) string {
	if first, _ := utf8.DecodeRuneInString(name); unicode.IsUpper(first) {
		return "type " + name + " " + typ + "\n"
	}
	return "var " + name + " " + typ + "\n"
}
