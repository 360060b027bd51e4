package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A mutant is one change of one rule.
type mutant struct {
	id         int
	file       string // without its directory
	function   string // a method with the type of its receiver: "T.Name"
	line       int
	text       string // of the line
	original   string // the source text, on one line
	mutated    string
	equivalent bool   // by a comment on its line
	name       string // unique in the package; see identify
}

func (m mutant) base() string {
	return fmt.Sprintf("%s %s: %s -> %s", m.file, m.function, m.original, m.mutated)
}

// identify gives each mutant the shortest name that no other has. It has no line number, so that a change elsewhere in the file leaves a list of names true.
func identify(mutants []mutant) {
	short, long := map[string]int{}, map[string]int{}
	full := func(m mutant) string { return m.base() + " | " + m.text }
	for _, m := range mutants {
		short[m.base()]++
		long[full(m)]++
	}
	nth := map[string]int{}
	for i := range mutants {
		m := &mutants[i]
		m.name = m.base()
		if short[m.name] == 1 {
			continue
		}
		m.name = full(*m)
		if long[m.name] > 1 {
			nth[m.name]++
			m.name = fmt.Sprintf("%s #%d", m.name, nth[m.name])
		}
	}
}

// equivalents reads the names of the mutants that were judged to change nothing. It refuses a name that is not that of exactly one mutant of a mutated file,
// or of a file that the package has and that is not mutated now.
func equivalents(path string, files []string, mutants []mutant) (map[string]bool, error) {
	known := map[string]bool{}
	if path == "" {
		return known, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	mutated, named := map[string]bool{}, map[string]bool{}
	for _, m := range mutants {
		mutated[m.file], named[m.name] = true, true
	}
	var wrong []error
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, _, _ := strings.Cut(line, " ")
		file = strings.TrimSuffix(file, ":")
		at := strings.LastIndex(line, ": ")
		switch {
		case at < 0 || !strings.Contains(line[:at], " -> "):
			wrong = append(wrong, fmt.Errorf("%q is not \"name: why\"", line))
		case !slices.Contains(files, file) || mutated[file] && !named[line[:at]]:
			wrong = append(wrong, fmt.Errorf("%q is not the name of one mutant%s", line[:at], similar(line[:at], mutants)))
		default:
			known[line[:at]] = true
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(wrong...))
	}
	return known, nil
}

// similar lists the mutants that name could stand for.
func similar(name string, mutants []mutant) string {
	base, _, _ := strings.Cut(name, " | ")
	var b strings.Builder
	for _, m := range mutants {
		if m.base() == base {
			fmt.Fprintf(&b, "\n\t%s", m.name)
		}
	}
	return b.String()
}
