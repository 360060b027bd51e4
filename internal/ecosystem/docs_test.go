package ecosystem

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The code in docs/ecosystem.md is code that the tests run, and each library in its table has a test.
func TestTheGuideShowsWhatRuns(t *testing.T) {
	page, err := os.ReadFile("../../docs/ecosystem.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(b)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	same(t, "blocks of code", len(blocks), 5)
	for _, block := range blocks {
		if !strings.Contains(code.String(), block[1]) {
			t.Errorf("no test runs\n%s", block[1])
		}
	}
	requires, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(requires), -1) {
		if !strings.Contains(code.String(), `"`+m[1]) {
			t.Errorf("no test imports %s", m[1])
		}
	}
}
