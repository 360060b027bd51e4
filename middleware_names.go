package ply

import (
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// nameOf names the layer that m made after the type of its handler or, if that says nothing, after the function.
func nameOf(m Middleware, h Handler) string {
	switch h := h.(type) {
	case interface{ LayerName() string }:
		return h.LayerName()
	case *link, *branch, *failing:
		return funcName(m)
	}
	if t := reflect.TypeOf(h); t.Kind() == reflect.Func || t.Kind() == reflect.Struct && t.Name() == "" {
		return funcName(m)
	}
	return typeName(h)
}

func typeName(h Handler) string {
	if reflect.TypeOf(h).Kind() == reflect.Func {
		return funcName(h)
	}
	return fmt.Sprintf("%T", h)
}

var closureSuffix = regexp.MustCompile(`(\.func\d+|\.\d+|-fm|\.gowrap\d+)+$`)

// funcName turns "github.com/acme/auth.New.func1" into "auth.New".
func funcName(f any) string {
	fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if fn == nil {
		return "func"
	}
	name := strings.TrimSuffix(path.Base(fn.Name()), "-fm")
	made := closureSuffix.ReplaceAllString(name, "")
	if made == name {
		return name
	}
	file, _ := fn.FileLine(fn.Entry())
	return makerName(made, file)
}

// makerName returns the name of the function that made a closure. If the compiler has inlined that function, symbol begins with the package
// of its outermost caller, followed by all callers: "main.main.New". The file of the closure then tells the package of New.
func makerName(symbol, file string) string {
	pkg, functions, _ := strings.Cut(symbol, ".")
	last := lastFunction(functions)
	if last == functions || last == "" {
		return symbol
	}
	dir := path.Dir(filepath.ToSlash(file))
	for majorVersion.MatchString(path.Base(dir)) {
		dir = path.Dir(dir)
	}
	from, _, _ := strings.Cut(path.Base(dir), "@") // a folder of the module cache
	if strings.HasSuffix(file, "_test.go") || from == "." || from == "/" || pkg == "main" && from == mainFolder() {
		from = pkg
	}
	return from + "." + last
}

var majorVersion = regexp.MustCompile(`^v\d+(@.*)?$`)

// mainFolder returns the last element of the import path of package main.
var mainFolder = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return path.Base(info.Path)
})

// lastFunction returns the last function of "main.(*T).New" or "main.Of[...]", with its receiver.
func lastFunction(functions string) string {
	depth := 0
	for i := len(functions) - 1; i > 0; i-- {
		switch functions[i] {
		case ']':
			depth++
		case '[':
			depth--
		case '.':
			if depth == 0 && functions[i-1] != ')' {
				return functions[i+1:]
			}
		}
	}
	return functions
}
