package docs

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// A document is a Markdown file of the repository.
type document struct {
	path string // from the root, with slashes
	name string // of its subtest: without folder and extension
	text string
}

// pages are the documents whose code and width are checked: those that readers are sent to.
func pages(t *testing.T) []document {
	t.Helper()
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	var found []document
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md"} {
		found = append(found, documents(t, pattern)...)
	}
	for i, d := range found {
		if d.path == "docs/README.md" {
			found[i].name = "index"
		}
	}
	return found
}

func documents(t *testing.T, pattern string) (found []document) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		found = append(found, document{path: filepath.ToSlash(rel), name: name, text: string(text)})
	}
	return found
}

// asked reports whether a subtest of a page is among those that -run names, so that the rest is not prepared.
func asked(page document) bool {
	_, pattern, _ := strings.Cut(flag.Lookup("test.run").Value.String(), "/")
	pattern, _, _ = strings.Cut(pattern, "/")
	ok, err := regexp.MatchString(pattern, page.name)
	return ok || err != nil
}

// pending reports whether a page may still break a rule.
func pending(page document) bool {
	_, err := os.Stat(filepath.Join("testdata", "pending", page.name))
	return err == nil
}

// report fails the test of a page with its problems. A page that is pending must have some.
func report(t *testing.T, page document, problems []error) {
	t.Helper()
	for _, err := range problems {
		if pending(page) {
			t.Log(err)
		} else {
			t.Error(err)
		}
	}
}

// Pages are taken from the list as they are mended, and never added to it.
func TestPendingPagesStillBreakARule(t *testing.T) {
	list, err := os.ReadDir(filepath.Join("testdata", "pending"))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	all := pages(t)
	for _, e := range list {
		i := slices.IndexFunc(all, func(page document) bool { return page.name == e.Name() })
		if i < 0 {
			t.Errorf("testdata/pending/%s is no page", e.Name())
			continue
		}
		if len(wide(all[i])) == 0 && len(problemsOfBlocks(t, all[i])) == 0 {
			t.Errorf("%s keeps the rules: remove internal/docs/testdata/pending/%s", all[i].path, e.Name())
		}
	}
}
