package plytest_test

import (
	"os"
	"strings"
	"testing"
)

// TestGuideShowsCodeThatRuns looks for the Go blocks of docs/layers.md in this package's examples, from the first layer with a type on.
func TestGuideShowsCodeThatRuns(t *testing.T) {
	guide, err := os.ReadFile("../docs/layers.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("layer_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, typed, _ := strings.Cut(string(guide), "## A layer with a type\n")
	blocks := strings.Split(typed, "```go\n")[1:]
	if len(blocks) == 0 {
		t.Error("the guide shows no code")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(string(code), block) {
			t.Errorf("not in layer_example_test.go:\n%s", block)
		}
	}
}
