package ply_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packageFiles returns the files of each directory that holds Go code beside tests, of all modules in this repository, by the directory's path.
func packageFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	require.NoError(t, filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != "." && (strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") || e.Name() == "testdata"):
			return filepath.SkipDir
		case !e.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			dir := filepath.ToSlash(filepath.Dir(path))
			files[dir] = append(files[dir], e.Name())
		}
		return nil
	}))
	return files
}

// packageDoc returns the comment of the package in a directory.
func packageDoc(t *testing.T, dir string, names []string) string {
	t.Helper()
	var doc strings.Builder
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		require.NoError(t, err)
		doc.WriteString(f.Doc.Text())
	}
	return doc.String()
}

var goFile = regexp.MustCompile(`[\w*]+\.go\b`)

// The comment of a package with more than three files says what is in which: by the name of each, by a pattern such as lock_*.go,
// or, in this package, by the word that the names of a group begin with.
func TestPackageCommentMapsEachFile(t *testing.T) {
	group := regexp.MustCompile(`(?m)^\t(\w+) `)
	also := []string{"progress", "expect", "cookies", "httpsonly"} // named in the line of another group
	for dir, names := range packageFiles(t) {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "doc.go" })
		if len(names) <= 3 || slices.Contains(names, "main.go") {
			continue
		}
		all := names
		if _, err := os.Stat(filepath.Join(dir, "doc.go")); err == nil {
			all = append(slices.Clone(names), "doc.go")
		}
		doc := packageDoc(t, dir, all)
		named := goFile.FindAllString(doc, -1)
		var groups []string
		if dir == "." {
			groups = also
			for _, m := range group.FindAllStringSubmatch(doc, -1) {
				groups = append(groups, m[1])
			}
		}
		for _, name := range names {
			first, _, _ := strings.Cut(strings.TrimSuffix(name, ".go"), "_")
			if !slices.Contains(groups, first) && !slices.ContainsFunc(named, func(pattern string) bool {
				ok, err := filepath.Match(pattern, name)
				return ok && err == nil
			}) {
				t.Errorf("%s: the comment of the package does not say what is in %s", dir, name)
			}
		}
	}
}

// A map that names a file which has gone, or has another name now, leads nowhere.
func TestPackageCommentsNameFilesThatExist(t *testing.T) {
	files := packageFiles(t)
	exists := func(dir, pattern string) bool {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		return err == nil && len(found) > 0
	}
	for dir, names := range files {
		for _, name := range goFile.FindAllString(packageDoc(t, dir, names), -1) {
			if exists(dir, name) {
				continue
			}
			// Package rfc9111 says which of its rules are in stored, field and freshness.
			elsewhere := false
			for other := range files {
				elsewhere = elsewhere || exists(other, name)
			}
			if !elsewhere {
				t.Errorf("%s: the comment of the package names %s, which does not exist", dir, name)
			}
		}
	}
}

// docs/design.md is the map of the whole: it has each package, those in the rooms of another one with it, and what it names exists.
func TestDesignNamesEachPackage(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	require.NoError(t, err)
	files := packageFiles(t)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(string(text), -1) {
		named[strings.TrimSuffix(m[1], "/")] = true
	}
	for dir := range files {
		outer, _, _ := strings.Cut(dir, "/internal/")
		if outer != dir && files[outer] == nil {
			continue // below a package that is not there, or not yet
		}
		if parts := strings.Split(outer, "/"); dir != "." && !named[strings.Join(parts[:min(len(parts), 2)], "/")] {
			t.Errorf("docs/design.md does not name %s", dir)
		}
	}
	for name := range named {
		if !strings.HasSuffix(name, ".go") || strings.ContainsAny(name, " (") {
			continue
		}
		exists := false
		for dir, names := range files {
			at, base := filepath.Split(name)
			if at != "" && !strings.HasSuffix(dir+"/", "/"+at) && dir+"/" != at {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(dir, base)); err == nil && len(found) > 0 && len(names) > 0 {
				exists = true
			}
		}
		if !exists {
			t.Errorf("docs/design.md names %s, which does not exist", name)
		}
	}
}

// What programs, links and people look for at the top of the repository stays where it is.
func TestTopOfTheRepository(t *testing.T) {
	for _, path := range []string{
		"go.mod", "go.sum", "client.go", "middleware.go", "README.md",
		"middleware/cache/", "middleware/retry/", "middleware/logging/", "keying/", "expiry/", "docs/",
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.IsDir() != strings.HasSuffix(path, "/") {
			t.Errorf("%s is of another kind", path)
		}
	}
}
