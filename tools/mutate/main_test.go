package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSurvivorsAreTheRulesThatNoTestHolds runs the tool on a package of which each rule is known to be tested, or not.
func TestSurvivorsAreTheRulesThatNoTestHolds(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.test/rules\n\ngo 1.26.0\n",
		"rules.go": `package rules

import "errors"

var errOld = errors.New("too old")

func Check(age, limit int, strict bool) error {
	if age > limit && strict {
		return errOld
	}
	return nil
}

func Sum(ns []int) (n int) {
	for _, x := range ns {
		n += x
	}
	return n
}

func Unused(a, b int) int { return a - b }

func Grade(points int, passed bool) string {
	switch {
	case !passed:
		return "failed"
	case points > 90:
		return "best"
	}
	return "passed"
}

func Same(a int) int {
	if a >= 0 { //mutate:equivalent zero is its own opposite
		return a
	}
	return 0 - a
}
`,
		"rules_test.go": `package rules

import "testing"

func TestRules(t *testing.T) {
	if Check(2, 1, true) == nil || Check(1, 2, true) != nil || Check(2, 1, false) != nil {
		t.Error("check")
	}
	if Grade(0, true) != "passed" || Grade(99, true) != "best" || Grade(99, false) != "failed" {
		t.Error("grade")
	}
	if Sum([]int{1, 2}) != 3 || Same(-2) != 2 || Same(2) != 2 {
		t.Error("sum")
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	var out bytes.Buffer
	if err := run(options{pkg: ".", every: 1}, &out); err != nil {
		t.Fatal(err)
	}
	want := `SURVIVED  rules.go Check: age > limit -> age >= limit  (line 8, tests that reach it: 1)
SURVIVED  rules.go Unused: a - b -> a + b  (line 21, tests that reach it: 0)
SURVIVED  rules.go Grade: points > 90 -> points >= 90  (line 27, tests that reach it: 1)
example.test/rules: 12 mutants, 9 killed, 3 survived (1 reached by no test), 2 judged equivalent: 75.0 %
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	// A list of equivalents names mutants without their lines.
	known := filepath.Join(dir, "known")
	judge := func(list string) (string, error) {
		t.Helper()
		if err := os.WriteFile(known, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		err := run(options{pkg: ".", every: 1, equivalent: known}, &out)
		return out.String(), err
	}
	got, err := judge("# judged\nrules.go Unused: a - b -> a + b: nothing calls it\nrules.go Grade: points > 90 -> points >= 90: no grade is 90\n")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "a - b") || !strings.Contains(got, "10 mutants, 9 killed, 1 survived (0 reached by no test), 4 judged equivalent") {
		t.Errorf("with a list of equivalents: got\n%s", got)
	}
	for _, list := range []string{"rules.go Sum: a - b -> a + b: of another function", "rules.go: a - b -> a + b: of no function", "rules.go Unused: a - b: no mutant", "other.go F: a -> b: of no file"} {
		if got, err := judge(list); err == nil {
			t.Errorf("the list %q is accepted: got\n%s", list, got)
		}
	}
}

func TestNameIsOfOneMutant(t *testing.T) {
	mutants := []mutant{
		{file: "a.go", function: "F", original: "0", mutated: "0+1", text: "x := 0"},
		{file: "a.go", function: "F", original: "0", mutated: "0+1", text: "return 0, 0"},
		{file: "a.go", function: "F", original: "0", mutated: "0+1", text: "return 0, 0"},
		{file: "a.go", function: "F", original: "1", mutated: "1+1", text: "y := 1"},
		{file: "a.go", function: "T.F", original: "1", mutated: "1+1", text: "y := 1"},
	}
	identify(mutants)
	for i, want := range []string{
		"a.go F: 0 -> 0+1 | x := 0", "a.go F: 0 -> 0+1 | return 0, 0 #1", "a.go F: 0 -> 0+1 | return 0, 0 #2", "a.go F: 1 -> 1+1", "a.go T.F: 1 -> 1+1",
	} {
		if mutants[i].name != want {
			t.Errorf("got %s, want %s", mutants[i].name, want)
		}
	}
}

func TestEquivalentNamesOneMutant(t *testing.T) {
	mutants := []mutant{
		{file: "a.go", function: "F", original: "0", mutated: "0+1", text: "x := 0"},
		{file: "a.go", function: "F", original: "0", mutated: "0+1", text: "y := 0"},
	}
	identify(mutants)
	path := filepath.Join(t.TempDir(), "known")
	for list, want := range map[string]string{
		"a.go F: 0 -> 0+1 | y := 0: a capacity": "",
		"a.go F: 0 -> 0+1: a capacity":          "a.go F: 0 -> 0+1 | y := 0",
		"a.go F: 0 -> 0+1 | z := 0: gone":       "a.go F: 0 -> 0+1 | x := 0",
		"b.go F: 0 -> 0+1: a capacity":          "?",
		"c.go F: 0 -> 0+1: a capacity":          "is not the name of one mutant",
		"a.go F: 7 -> 7+1: gone":                "is not the name of one mutant",
	} {
		if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		known, err := equivalents(path, []string{"a.go", "b.go"}, mutants)
		if want == "?" { // a file that is not mutated now
			if err != nil {
				t.Errorf("%s: %v", list, err)
			}
		} else if want == "" {
			if err != nil || len(known) != 1 || !known[mutants[1].name] {
				t.Errorf("%s: got %v, %v", list, known, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", list, err, want)
		}
	}
}
