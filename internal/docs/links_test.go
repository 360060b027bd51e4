package docs

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?[^)]*\)`)
	defined    = regexp.MustCompile(`^\s*\[[^\]^]+\]:\s*<?([^\s>]+)`)
	attribute  = regexp.MustCompile(`(?:src|href|srcset)="([^"]+)"`)
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	anchor     = regexp.MustCompile(`(?:id|name)="([^"]+)"`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	markup     = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)|<[^>]+>`)
)

// allDocuments are all Markdown files of the repository, by path.
func allDocuments(t *testing.T) map[string]document {
	t.Helper()
	found := map[string]document{}
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md", "*/*/*/*.md", ".github/*.md"} {
		for _, d := range documents(t, pattern) {
			if !strings.Contains(d.path, "testdata/") && !strings.Contains(d.path, "node_modules/") {
				found[d.path] = d
			}
		}
	}
	return found
}

// anchors are the fragments by which links reach the headings of a document, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	times := map[string]int{}
	prose(text, func(_ int, line string) {
		for _, m := range anchor.FindAllStringSubmatch(line, -1) {
			found[m[1]] = true
		}
		m := heading.FindStringSubmatch(line)
		if m == nil {
			return
		}
		slug := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, markup.ReplaceAllString(m[1], "$1"))
		if n := times[slug]; n > 0 {
			found[fmt.Sprint(slug, "-", n)] = true
		} else {
			found[slug] = true
		}
		times[slug]++
	})
	return found
}

// brokenLinks returns an error for each relative link of a document that leads nowhere. exists reports whether there is a file.
func brokenLinks(d document, all map[string]document, exists func(path string) bool) (problems []error) {
	prose(d.text, func(number int, line string) {
		line = codeSpan.ReplaceAllString(line, "``")
		found := inlineLink.FindAllStringSubmatch(line, -1)
		found = append(append(found, defined.FindAllStringSubmatch(line, -1)...), attribute.FindAllStringSubmatch(line, -1)...)
		for _, m := range found {
			if problem := broken(d, m[1], all, exists); problem != "" {
				problems = append(problems, fmt.Errorf("%s:%d: %s: %s", d.path, number, m[1], problem))
			}
		}
	})
	return problems
}

func broken(d document, link string, all map[string]document, exists func(path string) bool) (problem string) {
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" || u.Host != "" {
		return "" // in the network
	}
	if strings.HasPrefix(u.Path, "/") {
		return "a link from the root works on one site only"
	}
	target := d.path
	if u.Path != "" {
		target = path.Join(path.Dir(d.path), u.Path)
	}
	if !exists(target) {
		return "no such file"
	}
	if page, ok := all[target]; ok && u.Fragment != "" && !anchors(page.text)[u.Fragment] {
		return "no such heading"
	}
	return ""
}

func TestLinks(t *testing.T) {
	all := allDocuments(t)
	for _, d := range all {
		t.Run(d.path, func(t *testing.T) {
			for _, err := range brokenLinks(d, all, func(p string) bool {
				_, err := os.Stat(filepath.Join(root, filepath.FromSlash(p)))
				return err == nil
			}) {
				t.Error(err)
			}
		})
	}
}

func TestLinksThatLeadNowhereAreFound(t *testing.T) {
	page := document{path: "docs/a.md", text: "# A `b` [c](x.md), d!\n# Twice\n# Twice\n" +
		"[here](#a-b-c-d) [again](#twice-1) [there](b.md#in-b) [up](../go.mod) [net](https://example.com/x#y) `[code](nowhere)`\n" +
		"[1](#absent) [2](b.md#absent) [3](nowhere.md) ![4](images/none.png) [5](/docs/b.md)\n<img src=\"none.svg\">\n[ref]: none.md\n```\n[fenced](none)\n```\n"}
	all := map[string]document{"docs/a.md": page, "docs/b.md": {path: "docs/b.md", text: "## In b\n"}}
	exists := func(p string) bool { return p == "docs/a.md" || p == "docs/b.md" || p == "go.mod" || p == "docs/x.md" }
	var got []string
	for _, err := range brokenLinks(page, all, exists) {
		got = append(got, err.Error())
	}
	want := []string{
		"docs/a.md:5: #absent: no such heading", "docs/a.md:5: b.md#absent: no such heading", "docs/a.md:5: nowhere.md: no such file",
		"docs/a.md:5: images/none.png: no such file", "docs/a.md:5: /docs/b.md: a link from the root works on one site only",
		"docs/a.md:6: none.svg: no such file", "docs/a.md:7: none.md: no such file",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
