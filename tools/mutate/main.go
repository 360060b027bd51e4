// Mutate measures how much the tests of a package notice: it breaks one rule at a time and runs the tests that reach it.
//
//	go run ./tools/mutate ./expiry
//	go run ./tools/mutate -tests ./middleware/cache ./middleware/cache/internal/rfc9111
//	go run ./tools/mutate -files 'record.go,state.go' ./store/file
//
// All mutants of a package are compiled into one test binary, each behind a switch, so that a mutant costs the run of a few tests and no build.
// A first run of each test, with no mutant on, records which mutants it reaches; a mutant is then tried with those tests alone, the fastest first.
// The survivors are printed with their place, what was changed, and how many tests ran over it without noticing. The exit code is 1 only if the run itself fails.
//
// The mutations: a comparison negated, or with its bound moved; a condition of an if or of a case negated; an operand of && or || left out; + for - and - for +;
// a number one higher; a statement left out; nil returned in place of an error.
//
// A comment "//mutate:equivalent why" on a line, or a line in tools/mutate/equivalent/NAME.txt, takes what changes nothing out of the score.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.tests, "tests", "", "packages whose tests count beside those of the package itself, separated by commas")
	flag.StringVar(&o.files, "files", "", "the files to mutate, separated by commas; all without it")
	flag.StringVar(&o.equivalent, "equivalent", "", `a file with one "file.go: original -> mutant: why" or "file.go Function: original -> mutant: why" in each line, of mutants that change nothing;
without it tools/mutate/equivalent/NAME.txt, if there is one, where NAME is the last part of the package's path`)
	flag.IntVar(&o.every, "every", 1, "try every n-th mutant only")
	flag.BoolVar(&o.list, "list", false, "print the mutants and try none")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: go run ./tools/mutate [flags] PACKAGE")
		flag.PrintDefaults()
		os.Exit(2)
	}
	o.pkg = flag.Arg(0)
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

type options struct {
	pkg, tests, files, equivalent string
	every                         int
	list                          bool
}

// listed is what `go list` says of a package.
type listed struct {
	Dir, ImportPath, Name string
	GoFiles               []string
}

// run writes the survivors and the score to out.
func run(o options, out io.Writer) error {
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	p, err := list(o.pkg)
	if err != nil {
		return err
	}
	var only []string
	if o.files != "" {
		only = strings.Split(o.files, ",")
	}
	mutants, overlay, err := instrument(p, only, work)
	if err != nil {
		return err
	}
	if o.equivalent == "" {
		if path := filepath.Join("tools", "mutate", "equivalent", filepath.Base(p.ImportPath)+".txt"); exists(path) {
			o.equivalent = path
		}
	}
	known, err := equivalents(o.equivalent)
	if err != nil {
		return err
	}
	var judged int
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool {
		if names := m.names(); m.equivalent || known[names[0]] || known[names[1]] {
			judged++
			return true
		}
		return m.id%max(o.every, 1) != 0
	})
	if o.list {
		for _, m := range mutants {
			fmt.Fprintln(out, m)
		}
		return nil
	}
	binaries, err := build(append([]string{o.pkg}, strings.FieldsFunc(o.tests, func(r rune) bool { return r == ',' })...), overlay, work)
	if err != nil {
		return err
	}
	reached, err := trace(binaries, work)
	if err != nil {
		return err
	}
	killed, unreached := 0, 0
	for i, m := range mutants {
		tests := reached[m.id]
		switch ok, err := kill(m, tests); {
		case err != nil:
			return err
		case ok:
			killed++
		default:
			if len(tests) == 0 {
				unreached++
			}
			fmt.Fprintf(out, "SURVIVED  %v  (tests that reach it: %d)\n", m, len(tests))
		}
		if i%50 == 49 {
			fmt.Fprintf(os.Stderr, "%d of %d\n", i+1, len(mutants))
		}
	}
	fmt.Fprintf(out, "%s: %d mutants, %d killed, %d survived (%d reached by no test), %d judged equivalent: %.1f %%\n",
		p.ImportPath, len(mutants), killed, len(mutants)-killed, unreached, judged, 100*float64(killed)/float64(max(len(mutants), 1)))
	return nil
}

func list(pkg string) (listed, error) {
	var p listed
	out, err := output(exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles", pkg))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(out, &p)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// equivalents reads the mutants that were judged to change nothing, by name.
func equivalents(path string) (map[string]bool, error) {
	known := map[string]bool{}
	if path == "" {
		return known, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, ": ")
		if at < 0 || !strings.Contains(line[:at], " -> ") {
			return nil, fmt.Errorf("%s: %q is not \"file.go: original -> mutant: why\"", path, line)
		}
		known[line[:at]] = true
	}
	return known, nil
}

// A binary is a compiled test binary and the directory that its tests run in.
type binary struct{ path, dir string }

// A test is one test function with the time that it took without a mutant.
type test struct {
	binary binary
	name   string
	took   time.Duration
}

func build(packages []string, overlay, work string) ([]binary, error) {
	var bs []binary
	for i, pkg := range packages {
		p, err := list(pkg)
		if err != nil {
			return nil, err
		}
		b := binary{filepath.Join(work, strconv.Itoa(i)+".test"), p.Dir}
		if _, err := output(exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", b.path, pkg)); err != nil {
			return nil, err
		}
		if _, err := os.Stat(b.path); err == nil { // none if there are no tests
			bs = append(bs, b)
		}
	}
	return bs, nil
}

var testName = regexp.MustCompile(`^(Test|Example|Fuzz)\w*$`)

// trace runs each test once without a mutant, and returns those that reach each mutant, the fastest first.
func trace(binaries []binary, work string) (map[int][]test, error) {
	reached := map[int][]test{}
	log := filepath.Join(work, "reached")
	for _, b := range binaries {
		names := exec.Command(b.path, "-test.list", ".")
		names.Dir = b.dir
		out, err := output(names)
		if err != nil {
			return nil, err
		}
		for name := range strings.Lines(string(out)) {
			if name = strings.TrimSpace(name); !testName.MatchString(name) {
				continue
			}
			if err := os.RemoveAll(log); err != nil {
				return nil, err
			}
			begun := time.Now()
			if err := execute(b, []string{name}, 2*time.Minute, "MUTANT=-1", "MUTANT_REACHED="+log); err != nil {
				fmt.Fprintf(os.Stderr, "%s does not count: with the switches compiled in it fails without a mutant, too: %v\n", name, err)
				continue
			}
			t := test{b, name, time.Since(begun)}
			ids, err := readIDs(log)
			if err != nil {
				return nil, err
			}
			for id := range ids {
				reached[id] = append(reached[id], t)
			}
		}
	}
	for _, tests := range reached {
		slices.SortStableFunc(tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	}
	return reached, nil
}

func readIDs(path string) (map[int]bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids := map[int]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if id, err := strconv.Atoi(s.Text()); err == nil {
			ids[id] = true
		}
	}
	return ids, nil
}

// kill reports whether a test fails, hangs or crashes with m on.
func kill(m mutant, tests []test) (bool, error) {
	for len(tests) > 0 { // all fast tests of one binary in one process
		b, n, took := tests[0].binary, 0, time.Duration(0)
		var names []string
		for n < len(tests) && tests[n].binary == b && (n == 0 || took < time.Second) {
			names, took, n = append(names, tests[n].name), took+tests[n].took, n+1
		}
		tests = tests[n:]
		var failed *exec.ExitError
		switch err := execute(b, names, 10*took+10*time.Second, "MUTANT="+strconv.Itoa(m.id)); {
		case errors.As(err, &failed), errors.Is(err, context.DeadlineExceeded):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

// execute runs tests of a binary. What they write to a file that git does not know stays: run it on a clean tree.
func execute(b binary, names []string, limit time.Duration, env ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.path, "-test.failfast", "-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.Bytes())
	}
	return out, nil
}
