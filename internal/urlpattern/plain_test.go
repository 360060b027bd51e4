package urlpattern_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/internal/urlpattern"
)

var (
	somePatterns = []string{"*", "*/", "*/**", "site.com", "site.com/", "site.com/**", "site.com/a/**", "site.com/a/*", "site.com/*/b", "site.com/a*c/b", "site.com/a//b",
		"*.site.com/a", "https://site.com/a", "http://site.com:8080/a", "site.com:80/a", "~a", "SITE.com/A"}
	someURLs = []string{"http://site.com", "http://site.com/", "http://site.com/a", "https://site.com/a", "http://site.com/a/", "http://site.com/a/b", "http://site.com/a//b",
		"http://site.com/abc/b", "http://x.site.com/a", "http://site.com:8080/a", "http://site.com:80/a", "https://site.com:443/a", "http://site.com./a", "http://evilsite.com/a",
		"http://site.com/a?b=/c", "http://site.com?/a", "http://site.com/a#b", "http://site.com/./a", "http://site.com/a/..", "http://site.com/..a", "http://site.com/a.b",
		"http://user@site.com/a", "http://site.com/%61", "HTTP://site.com/a", "http://Site.com/a", "http://site.com/A", "http://[::1]/a", "http://xn--bcher-kva.example/a", "ftp://site.com/a", "", "://", "http:///a"}
)

// The short way to an answer agrees with the long one, and is taken for what is usual.
func TestReachesTextAgreesWithReaches(t *testing.T) {
	taken := 0
	for _, pattern := range somePatterns {
		for _, url := range someURLs {
			if agrees(t, pattern, url) {
				taken++
			}
		}
	}
	if all := len(somePatterns) * len(someURLs); taken < all/3 {
		t.Errorf("of %d pairs only %d went the short way", all, taken)
	}
	p, _ := urlpattern.Compile("site.com/a/*/c")
	if n := testing.AllocsPerRun(100, func() { p.ReachesText("https://site.com/a/b/c?q=1") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// agrees fails if the two ways differ, and reports whether the short one was open.
func agrees(t *testing.T, pattern, url string) bool {
	t.Helper()
	p, err := urlpattern.Compile(pattern)
	if err != nil {
		return false
	}
	got, ok := p.ReachesText(url)
	if !ok {
		return false
	}
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("%q is no URL, and the pattern %q says %t of it", url, pattern, got)
	}
	if want := p.Reaches(r); got != want {
		t.Fatalf("%q reaches %q: %t by its text, %t as a request", pattern, url, got, want)
	}
	return true
}

// FuzzReachesText: the short way agrees with the long one, whatever the pattern and the URL.
func FuzzReachesText(f *testing.F) {
	for i, url := range someURLs {
		f.Add(somePatterns[i%len(somePatterns)], url)
	}
	f.Fuzz(func(t *testing.T, pattern, url string) { agrees(t, pattern, url) })
}
