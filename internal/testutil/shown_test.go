package testutil_test

import (
	"os"
	"strings"
	"testing"
)

// The page of examples has a row for each, with a link to it.
func TestExamplesPageHasEachExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/examples.md")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !strings.Contains(string(page), "\n| [`"+dir.Name()) || !strings.Contains(string(page), "](../examples/"+dir.Name()+"/") {
			t.Errorf("docs/examples.md has no row for %s", dir.Name())
		}
	}
}
