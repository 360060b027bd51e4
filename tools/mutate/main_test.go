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
	want := `SURVIVED  rules.go:8: age > limit -> age >= limit  (tests that reach it: 1)
SURVIVED  rules.go:21: a - b -> a + b  (tests that reach it: 0)
SURVIVED  rules.go:27: points > 90 -> points >= 90  (tests that reach it: 1)
example.test/rules: 12 mutants, 9 killed, 3 survived (1 reached by no test), 2 judged equivalent: 75.0 %
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	// A list of equivalents names mutants without their lines.
	known := filepath.Join(dir, "known")
	if err := os.WriteFile(known, []byte("# judged\nrules.go: a - b -> a + b: nothing calls it\nrules.go Grade: points > 90 -> points >= 90: no one has 90\nrules.go Sum: age > limit -> age >= limit: not there\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run(options{pkg: ".", every: 1, equivalent: known}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "a - b") || !strings.Contains(got, "10 mutants, 9 killed, 1 survived (0 reached by no test), 4 judged equivalent") {
		t.Errorf("with a list of equivalents: got\n%s", got)
	}
}
