//go:build unix

package site

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/plyhttp/ply/internal/browser"
	"github.com/plyhttp/ply/internal/testserver"
)

// uncached is a file that the tests read and that is touched after them: the go command would take an earlier result, for it does not see that a page changed, which is outside of this module.
const uncached = "testdata/uncached"

func TestMain(m *testing.M) {
	browser.Main(m, func() { _ = os.Chtimes(uncached, time.Now(), time.Now()) })
}

// build builds the site, and returns its directory.
func build(t *testing.T) string {
	t.Helper()
	testserver.Find(t, "node")
	packages := fstest.MapFS{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		packages[name] = &fstest.MapFile{Data: []byte(read(t, name))}
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "./build.sh", dir)
	cmd.Env = append(os.Environ(), "PLY_SITE_PACKAGES="+testserver.NPM(t, "site", packages))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	return dir
}

func TestSite(t *testing.T) {
	dir := build(t)
	t.Run("links", func(t *testing.T) { checkLinks(t, dir) })
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	for name, test := range map[string]func(*testing.T, *browser.Tab){
		"search finds a section and opens it": searchFindsASection,
		"navigation leads to each page":       navigationLeadsToEachPage,
		"dark and light":                      darkAndLight,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browser.Open(t, server.URL+"/")
			p.Wait(`document.querySelector('.VPSidebar a')`)
			test(t, p)
			for _, each := range p.Requests() {
				if !strings.HasPrefix(each, server.URL+"/") {
					t.Errorf("the page asks %s, which is not the site's", each)
				}
			}
		})
	}
}

var (
	ids        = regexp.MustCompile(` id="([^"]+)"`)
	references = regexp.MustCompile(` (href|src)="([^"]*)"`)
)

// checkLinks looks for each target of each page, in what was built; the build looks for those in the repository.
func checkLinks(t *testing.T, dir string) {
	built, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string][]string{}
	for _, file := range built {
		for _, id := range ids.FindAllStringSubmatch(read(t, file), -1) {
			anchors[file] = append(anchors[file], html.UnescapeString(id[1]))
		}
	}
	checked := 0
	for _, file := range built {
		for _, reference := range references.FindAllStringSubmatch(read(t, file), -1) {
			u, err := url.Parse(html.UnescapeString(reference[2]))
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
				continue
			}
			if u.Scheme != "" || u.Host != "" {
				if reference[1] == "src" {
					t.Errorf("%s loads %s", filepath.Base(file), u)
				}
				continue
			}
			target := file
			switch {
			case u.Path == "":
			case strings.HasSuffix(u.Path, "/"):
				target = filepath.Join(dir, u.Path, "index.html")
			case strings.HasPrefix(u.Path, "/"):
				target = filepath.Join(dir, u.Path)
			default:
				target = filepath.Join(filepath.Dir(file), u.Path)
			}
			checked++
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s leads to %s, which does not exist", filepath.Base(file), u)
			} else if u.Fragment != "" && !slices.Contains(anchors[target], u.Fragment) {
				t.Errorf("%s leads to %s, and there is no such heading", filepath.Base(file), u)
			}
		}
	}
	if checked < 500 {
		t.Errorf("only %d links were checked", checked)
	}
}

// pages are the pages of docs/, as the site names them.
func pages(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" {
			names = append(names, name)
		}
	}
	return names
}

// Each page of docs/ is in its index once, and under one heading.
func TestIndexHasEachPageOnce(t *testing.T) {
	index := read(t, "../docs/README.md")
	linked := map[string]int{}
	for _, link := range regexp.MustCompile(`\(([\w.-]+)\.md[)#]`).FindAllStringSubmatch(index, -1) {
		linked[link[1]]++
	}
	for _, name := range pages(t) {
		if linked[name] != 1 {
			t.Errorf("docs/README.md has %s.md %d times, want once: each page is in the index, and so in the navigation of the site", name, linked[name])
		}
	}
}

// The picture of the chain names layers that exist, in an order that ply.New accepts: see middleware_rules.go.
func TestPictureOfTheChainNamesLayersThatExist(t *testing.T) {
	var names []string
	for _, name := range regexp.MustCompile(`<text class="name"[^>]*>(\w+)<`).FindAllStringSubmatch(read(t, "../docs/images/chain.svg"), -1) {
		names = append(names, name[1])
	}
	want := []string{"UseCall", "logging", "auth", "decode", "cache", "retry", "hedge", "breaker", "limit"}
	if !slices.Equal(names, want) {
		t.Fatalf("the picture has %v, want %v", names, want)
	}
	for _, name := range names[1:] {
		if _, err := os.Stat("../middleware/" + name); err == nil {
			continue
		}
		if _, err := os.Stat("../resilience/" + name); err != nil {
			t.Errorf("there is no package of that name: %v", err)
		}
	}
}

func searchFindsASection(t *testing.T, p *browser.Tab) {
	p.Click(".DocSearch-Button")
	p.Wait(`document.activeElement.id === 'localsearch-input'`)
	browser.Eval[bool](p, `document.execCommand('insertText', false, 'stale-while-revalidate')`) // as one who pastes: typed, each letter would have hits of its own
	p.Wait(`document.querySelector('.VPLocalSearchBox .result')`)
	hit := browser.Eval[string](p, `document.querySelector('.VPLocalSearchBox .result').href`)
	p.LoadAxe()
	p.Axe("the search", "serious", "critical")
	p.Click(".VPLocalSearchBox .result")
	p.Wait(`location.href === %s && !document.querySelector('.VPLocalSearchBox')`, hit)
	p.Wait(`document.querySelector('.vp-doc').innerText.includes('stale-while-revalidate')`)
	if target, err := url.Parse(hit); err != nil || target.Fragment == "" {
		t.Errorf("the first hit is %s, which is no section: %v", hit, err)
	} else {
		p.Wait(`(() => { const y = document.getElementById(%s).getBoundingClientRect().top; return y >= 0 && y < innerHeight })()`, target.Fragment)
	}
}

// judged are the pages that axe looks at: with diagrams of each kind, wide tables, code in several languages, pictures.
var judged = []string{"/client.html", "/events.html", "/resilience.html", "/conformance.html", "/cli.html", "/inspect.html"}

// link is an entry of the navigation.
type link struct{ Path, Text string }

func navigationLeadsToEachPage(t *testing.T, p *browser.Tab) {
	links := browser.Eval[[]link](p, `[...document.querySelectorAll('.VPSidebar nav a')].map((a) => ({ path: a.pathname, text: a.innerText }))`)
	var names []string
	for _, each := range links {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(each.Path, "/"), ".html"))
	}
	slices.Sort(names)
	want := pages(t)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the navigation has %v, want %v", names, want)
	}
	p.LoadAxe()
	p.Axe("the index", "serious", "critical")
	fitsAPhone(p, "the index")
	for _, each := range links {
		browser.Eval[any](p, `document.querySelector('.VPSidebar nav a[href="' + %s + '"]').click()`, each.Path) // wherever the sidebar is: it moves when the width changes
		p.Wait(`location.pathname === %s && document.querySelector('.VPSidebar .is-active.is-link a')?.pathname === %s`, each.Path, each.Path)
		drawn(p)
		if slices.Contains(judged, each.Path) {
			p.Axe(each.Text, "serious", "critical")
		}
		fitsAPhone(p, each.Path)
	}
}

// drawn waits until each diagram of the page is drawn. What cannot be drawn is said on the console.
func drawn(p *browser.Tab) {
	p.T.Helper()
	p.Wait(`document.querySelector('.vp-doc h1') && !document.querySelector('pre.mermaid:not(.failed)')`)
}

// fitsAPhone makes the page as wide as a phone for a moment, and fails if anything but code, tables and diagrams must be scrolled sideways there.
func fitsAPhone(p *browser.Tab, page string) {
	p.T.Helper()
	p.Size(360, 740, 1)
	for _, each := range browser.Eval[[]string](p, `(() => {
		const page = document.documentElement;
		if (page.scrollWidth <= page.clientWidth) return [];
		return [...document.querySelectorAll('.Layout *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, table, .mermaid')).map((e) => e.outerHTML.slice(0, 100)).slice(0, 3).concat('the page');
	})()`) {
		p.T.Errorf("%s must be scrolled sideways on a phone: %s", page, each)
	}
	p.Size(1280, 800, 1)
}

func darkAndLight(t *testing.T, p *browser.Tab) {
	colour := func() string {
		return browser.Eval[string](p, "getComputedStyle(document.body).backgroundColor")
	}
	shades := map[bool]string{}
	for _, dark := range []bool{false, true} {
		p.Scheme(dark)
		p.Wait(`document.documentElement.classList.contains('dark') === %s`, dark)
		shades[dark] = colour()
	}
	if shades[true] == shades[false] {
		t.Errorf("dark and light are both %s", shades[true])
	}
	p.Click(".VPSidebar nav a[href='/auth.html']")
	p.Wait(`location.pathname === '/auth.html'`)
	drawn(p)
	p.LoadAxe()
	p.Axe("dark", "serious", "critical")
	p.Click(".VPNavBarAppearance .VPSwitch")
	p.Wait(`!document.documentElement.classList.contains('dark')`)
	if got := colour(); got != shades[false] {
		t.Errorf("switched to light, the page is %s, want %s", got, shades[false])
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
