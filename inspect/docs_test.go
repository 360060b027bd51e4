package inspect_test

import (
	"os"
	"strings"
	"testing"
)

// TestGuideShowsCodeThatCompiles looks for each Go block of docs/inspect.md in this package's examples.
func TestGuideShowsCodeThatCompiles(t *testing.T) {
	guide, err := os.ReadFile("../docs/inspect.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	indented := strings.ReplaceAll(string(code), "\n\t", "\n")
	blocks := strings.Split(string(guide), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Error("the guide shows no code")
	}
	for _, block := range blocks {
		if block, _, _ = strings.Cut(block, "```"); !strings.Contains(indented, block) {
			t.Errorf("not in example_test.go:\n%s", block)
		}
	}
}
