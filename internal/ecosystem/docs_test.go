package ecosystem

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/mdcode"
)

// libraries are what the blocks know by name beside the standard library and ply.
var libraries = []string{
	"github.com/google/go-github/v89/github", "github.com/gregjones/httpcache", "github.com/hashicorp/go-retryablehttp",
	"github.com/imroc/req/v3", "resty.dev/v3",
	"github.com/failsafe-go/failsafe-go/failsafehttp", "github.com/failsafe-go/failsafe-go/adaptivelimiter", "github.com/failsafe-go/failsafe-go/budget",
	"github.com/failsafe-go/failsafe-go/cachepolicy", "github.com/failsafe-go/failsafe-go/circuitbreaker", "github.com/failsafe-go/failsafe-go/hedgepolicy",
	"github.com/failsafe-go/failsafe-go/ratelimiter",
}

// sources returns the text of all tests of this package.
func sources(t *testing.T) string {
	t.Helper()
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
	return code.String()
}

// Each block of a page that needs other libraries is code that a test of this package runs, or at least code that compiles with them.
func TestPagesShowWhatRuns(t *testing.T) {
	checker, err := mdcode.New(t.Context(), ".", libraries...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	code := sources(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	run, compiled := 0, 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		others := func(b mdcode.Block) bool {
			if !b.Ecosystem {
				return false
			}
			if strings.Contains(code, b.Code) {
				run++
				return false
			}
			compiled++
			return true
		}
		for _, problem := range checker.Check(t.Context(), mdcode.Blocks(page, string(text)), others) {
			t.Error(problem)
		}
	}
	if run < 21 {
		t.Errorf("the tests run %d blocks, and %d compile: has a page, or a test, lost its blocks?", run, compiled)
	}
}

// Each library that go.mod names has a test.
func TestEachLibraryIsTested(t *testing.T) {
	code := sources(t)
	requires, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+( // [^i].*)?$`).FindAllStringSubmatch(string(requires), -1) {
		if !strings.Contains(code, `"`+m[1]) {
			t.Errorf("no test imports %s", m[1])
		}
	}
}

// The names of other libraries for Go that docs/comparison.md gives are exported by the versions that it compares with.
func TestComparisonNamesWhatOthersHave(t *testing.T) {
	page, err := os.ReadFile("../../docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	checker, err := mdcode.New(t.Context(), ".", libraries...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile("`((?:resty|req|retryablehttp|failsafehttp|[a-z]+policy|circuitbreaker|ratelimiter|adaptivelimiter|budget)(?:\\.[A-Z]\\w*){1,2})`").FindAllStringSubmatch(string(page), -1) {
		names = append(names, m[1])
	}
	if undefined := checker.Undefined(t.Context(), names...); len(undefined) > 0 || len(names) < 35 {
		t.Errorf("of %d names these do not exist: %q", len(names), undefined)
	}
}
