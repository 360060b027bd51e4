package cache_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every test that docs/conformance.md names is there.
func TestConformancePageNamesExistingTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	require.NoError(t, err)
	var code strings.Builder
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			var text []byte
			text, err = os.ReadFile(path)
			code.Write(text)
		}
		return err
	})
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !strings.Contains(code.String(), "func "+name[1]+"(") {
			t.Errorf("%s is not there", name[1])
		}
	}
}

// What the page says of where a rule is implemented is there: `name`, `Type.method` or `package.Name`, declared in one of the packages that the page names.
func TestConformancePageNamesExistingCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	require.NoError(t, err)
	var code strings.Builder
	for _, dir := range []string{".", "../../expiry", "../../keying", "../../internal"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				var text []byte
				text, err = os.ReadFile(path)
				code.Write(text)
			}
			return err
		}))
	}
	declared := make(map[string]bool) // functions and types by name, methods as Type.method, and "\t" before what a line in a block begins with, such as a field
	for _, d := range regexp.MustCompile(`(?m)^(?:(?:func|type) (\w+)|func \(\w* ?\*?(\w+)\) (\w+)|\t(\w+))`).FindAllStringSubmatch(code.String(), -1) {
		switch {
		case d[1] != "":
			declared[d[1]] = true
		case d[2] != "":
			declared[d[2]+"."+d[3]] = true
		default:
			declared["\t"+d[4]] = true
		}
	}
	rules, _, _ := strings.Cut(string(page), "## Where ply departs")
	checked := 0
	for line := range strings.Lines(rules) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, name := range regexp.MustCompile("`([A-Za-z][A-Za-z0-9.]*)`").FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(name[1], "Test") || strings.HasPrefix(name[1], "Fuzz") {
				continue
			}
			checked++
			_, last, qualified := strings.Cut(name[1], ".")
			if there := declared[name[1]] || qualified && (declared[last] || declared["\t"+last]); !there { // of a package or a type, or a field
				t.Errorf("%s is not there", name[1])
			}
		}
	}
	if checked < 80 {
		t.Errorf("only %d names were checked", checked)
	}
}
