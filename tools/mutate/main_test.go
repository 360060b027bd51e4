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
example.test/rules: 9 mutants, 7 killed, 2 survived (1 reached by no test), 2 judged equivalent: 77.8 %
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	// A list of equivalents names mutants without their lines.
	known := filepath.Join(dir, "known")
	if err := os.WriteFile(known, []byte("# judged\nrules.go: a - b -> a + b: nothing calls it\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run(options{pkg: ".", every: 1, equivalent: known}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "a - b") || !strings.Contains(got, "8 mutants, 7 killed, 1 survived (0 reached by no test), 3 judged equivalent") {
		t.Errorf("with a list of equivalents: got\n%s", got)
	}
}
