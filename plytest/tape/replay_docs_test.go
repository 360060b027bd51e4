package tape_test

import (
	"os"
	"strings"
	"testing"
)

// TestGuideShowsTimeTravelAsItIs looks for each Go block of that section of docs/tape.md in the examples.
func TestGuideShowsTimeTravelAsItIs(t *testing.T) {
	guide, err := os.ReadFile("../../docs/tape.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("replay_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(guide), "\n## Time travel")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := strings.Split(section, "```go\n")[1:]
	if !found || len(blocks) == 0 {
		t.Error("the guide shows no code")
	}
	unindented := strings.ReplaceAll(string(code), "\n\t", "\n")
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(unindented, block) {
			t.Errorf("not in replay_example_test.go:\n%s", block)
		}
	}
}
