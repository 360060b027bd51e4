package docs

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
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
