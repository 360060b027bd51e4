package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var waited = regexp.MustCompile(`(?m)^waited in all.*\n`) // retry adds up to a tenth to Retry-After, at random

// The table of docs/tape.md is what the program prints.
func TestTableOfTheGuideIsPrinted(t *testing.T) {
	guide, err := os.ReadFile("../../docs/tape.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "run", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const command = "`cd examples/timetravel && go run .` prints:\n\n```text\n"
	_, table, found := bytes.Cut(guide, []byte(command))
	table, _, _ = bytes.Cut(table, []byte("```"))
	if !found {
		t.Fatalf("docs/tape.md does not have %q", command)
	}
	if d := cmp.Diff(waited.ReplaceAllString(string(table), ""), waited.ReplaceAllString(string(out), "")); d != "" {
		t.Error(d)
	}
}
