package plytest_test

import (
	"os"
	"strings"
	"testing"
)

// TestGuideShowsCodeThatCompiles looks for each Go block of docs/layers.md in this package's examples.
func TestGuideShowsCodeThatCompiles(t *testing.T) {
	guide, err := os.ReadFile("../docs/layers.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("layer_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(guide), "```go\n")[1:]
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
