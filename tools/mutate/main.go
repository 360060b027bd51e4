// Mutate measures how much the tests of a package notice: it breaks one rule at a time and runs the tests that reach it.
//
//	go run ./tools/mutate ./expiry
//	go run ./tools/mutate -tests ./middleware/cache ./middleware/cache/internal/rfc9111
//	go run ./tools/mutate -files 'record.go,state.go' ./store/file
//
// All mutants of a package are compiled into one test binary, each behind a switch, so that a mutant costs the run of a few tests and no build.
// A first run of each test, with no mutant on, records which mutants it reaches; a mutant is then tried with those tests alone, the fastest first.
// The survivors are printed by name with their line, and how many tests ran over it without noticing. The exit code is 1 only if the run itself fails.
//
// The mutations: a comparison negated, or with its bound moved; a condition of an if or of a case negated; an operand of && or || left out; + for - and - for +;
// a number one higher; a statement left out; nil returned in place of an error.
//
// A comment "//mutate:equivalent why" on a line, or a line in tools/mutate/equivalent/NAME.txt, takes what changes nothing out of the score.
// Such a list names each mutant as -list does: "file.go Function: original -> mutant", with " | " and the text of its line if the function has several of that name,
// and with " #2" if the line has, too. A line of the list that names no mutant, or more than one, is an error, so a list cannot excuse a mutant that it was not written for.
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
	flag.StringVar(&o.match, "match", "", "try only the mutants whose name, as -list prints it, matches this regular expression")
	flag.StringVar(&o.equivalent, "equivalent", "", `a file with one "name of a mutant, as -list prints it: why" in each line, of mutants that change nothing;
without it tools/mutate/equivalent/NAME.txt, if there is one, where NAME is the last part of the package's path`)
	flag.IntVar(&o.every, "every", 1, "try every n-th mutant only")
	flag.BoolVar(&o.list, "list", false, "print the names of the mutants and try none")
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
	pkg, tests, files, match, equivalent string
	every                                int
	list                                 bool
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
	mutants, judged, err := o.choose(p, mutants)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range mutants {
			fmt.Fprintln(out, m.name)
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
	killed, unreached, err := try(mutants, reached, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d mutants, %d killed, %d survived (%d reached by no test), %d judged equivalent: %.1f %%\n",
		p.ImportPath, len(mutants), killed, len(mutants)-killed, unreached, judged, 100*float64(killed)/float64(max(len(mutants), 1)))
	return nil
}

// choose returns the mutants of p that are to be tried, and the number of those left out because they were judged equivalent.
func (o options) choose(p listed, mutants []mutant) ([]mutant, int, error) {
	wanted, err := regexp.Compile(o.match)
	if err != nil {
		return nil, 0, err
	}
	if o.equivalent == "" {
		if path := filepath.Join("tools", "mutate", "equivalent", filepath.Base(p.ImportPath)+".txt"); exists(path) {
			o.equivalent = path
		}
	}
	known, err := equivalents(o.equivalent, p.GoFiles, mutants)
	if err != nil {
		return nil, 0, err
	}
	judged := 0
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool {
		if !wanted.MatchString(m.name) {
			return true
		}
		if m.equivalent || known[m.name] {
			judged++
			return true
		}
		return m.id%max(o.every, 1) != 0
	})
	return mutants, judged, nil
}

// try runs the tests that reach each mutant and prints those that survive. unreached counts those that no test reaches.
func try(mutants []mutant, reached map[int][]test, out io.Writer) (killed, unreached int, err error) {
	for i, m := range mutants {
		tests := reached[m.id]
		dead, err := kill(m, tests)
		if err != nil {
			return killed, unreached, err
		}
		if dead {
			killed++
		} else {
			if len(tests) == 0 {
				unreached++
			}
			fmt.Fprintf(out, "SURVIVED  %s  (line %d, tests that reach it: %d)\n", m.name, m.line, len(tests))
		}
		if i%50 == 49 {
			fmt.Fprintf(os.Stderr, "%d of %d\n", i+1, len(mutants))
		}
	}
	return killed, unreached, nil
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
