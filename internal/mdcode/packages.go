package mdcode

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// module is what the paths of all of ply's packages begin with.
const module = "github.com/plyhttp/ply"

// preferred are the packages that a name means if the standard library has several of it.
var preferred = map[string]string{"rand": "math/rand/v2", "template": "html/template", "pprof": "net/http/pprof", "scanner": "text/scanner"}

// packages knows packages by name, and where their export data is.
type packages struct {
	dir    string
	flags  []string
	byName map[string]string // the path
	names  map[string]string // by path
	export map[string]string // file, by path
}

// newPackages lists the packages of the standard library and of ply that the module in dir can import, and more, given by path.
func newPackages(ctx context.Context, dir string, flags, more []string) (*packages, error) {
	p := &packages{dir: dir, flags: flags, byName: map[string]string{}, names: map[string]string{}, export: map[string]string{}}
	patterns := append([]string{"std", module + "/..."}, more...)
	lines, err := p.list(ctx, "{{.Name}} {{.ImportPath}}", patterns...)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		name, path, _ := strings.Cut(line, " ")
		p.names[path] = name
		if name == "main" || hidden(path) {
			continue
		}
		first, taken := p.byName[name]
		if !taken || preferred[name] == path || !strings.HasPrefix(first, module) && (strings.HasPrefix(path, module) || slices.Contains(more, path)) {
			p.byName[name] = path
		}
	}
	return p, nil
}

// hidden reports whether programs outside the module cannot import a package, or would not.
func hidden(path string) bool {
	elements := strings.Split(path, "/")
	if elements[0] == "cmd" || elements[0] == "vendor" || slices.Contains(elements, "internal") {
		return true
	}
	rest, ours := strings.CutPrefix(path, module+"/")
	first, _, _ := strings.Cut(rest, "/")
	return ours && slices.Contains([]string{"benchmarks", "cmd", "examples", "tools"}, first)
}

// load finds the export data of packages and of all that they import, compiling what has not been compiled.
func (p *packages) load(ctx context.Context, paths []string) error {
	var missing []string
	for _, path := range paths {
		if p.export[path] == "" && path != "unsafe" && path != "C" {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	lines, err := p.list(ctx, "{{.ImportPath}} {{.Name}} {{.Export}}", append([]string{"-e", "-export", "-deps"}, missing...)...)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if f := strings.Fields(line); len(f) == 3 {
			p.export[f[0]], p.names[f[0]] = f[2], f[1]
		}
	}
	return nil
}

// open returns a package's export data, for go/importer.
func (p *packages) open(path string) (io.ReadCloser, error) {
	file := p.export[path]
	if file == "" {
		return nil, fmt.Errorf("no package %q", path)
	}
	return os.Open(file)
}

func (p *packages) list(ctx context.Context, format string, args ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"list", "-f", format}, p.flags...), args...)...)
	cmd.Dir = p.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, &stderr)
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines, nil
}
