package urlpattern_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/urlpattern"
)

func get(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A purge reaches a path with dot segments as the origin may resolve it and as it was sent. A lifetime is for the path as it was sent.
func TestReachesWithAndWithoutDotSegments(t *testing.T) {
	for _, test := range []struct {
		pattern, url     string
		matches, reaches bool
	}{
		{"h/a/*", "http://h/a/b", true, true},
		{"h/a/*", "http://h/a/..", false, true},
		{"h/b", "http://h/a/../b", false, true},
		{"h/a/**", "http://h/a/../b", false, true},
		{"h/a/../b", "http://h/a/../b", true, true},
		{"h/c", "http://h/a/../b", false, false},
		{"h", "http://h/a/../b", true, true},
		{"i", "http://h/a/../b", false, false},
	} {
		p, err := urlpattern.Compile(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(get(t, test.url)); got != test.matches {
			t.Errorf("%s matches %s: %v, want %v", test.pattern, test.url, got, test.matches)
		}
		if got := p.Reaches(get(t, test.url)); got != test.reaches {
			t.Errorf("%s reaches %s: %v, want %v", test.pattern, test.url, got, test.reaches)
		}
	}
	p, _ := urlpattern.Compile("*")
	if p.Match(nil) || p.Match(&http.Request{}) || p.Reaches(nil) {
		t.Error("a request without a URL matches")
	}
}

// A path with both is sent without the escapes: net/http encodes it anew, and these characters need none.
var (
	escapeOfPlain = regexp.MustCompile(`(?i)%(24|26|2b|2c|2f|3a|3b|3d|40)`)
	mustBeEscaped = regexp.MustCompile(`[\x00-\x20\x7f]|[^\x00-\x7f]`)
)

// FuzzPattern: a pattern made of a URL matches it, and matches no URL with another host in front, behind or in its place.
// Left out are characters with a meaning in a pattern, those that net/http escapes only beside others, and paths that it does not send as they are written.
func FuzzPattern(f *testing.F) {
	f.Add("site.com", "a/b")
	f.Add("site.com:8080", "")
	f.Add("bücher.example", "ü%2a")
	f.Add("[::1]:80", "a//b")
	f.Fuzz(func(t *testing.T, host, path string) {
		u, err := url.Parse("http://" + host + "/" + path)
		if err != nil || u.User != nil || strings.ContainsAny(host, `~%*@/?#\`) || strings.ContainsAny(path, `*?#[]\!'()`) || u.Host == "" {
			return
		}
		if escapeOfPlain.MatchString(path) && mustBeEscaped.MatchString(path) {
			return
		}
		p, err := urlpattern.Compile(host + "/" + path)
		if err != nil {
			return
		}
		r := &http.Request{Method: http.MethodGet, URL: u}
		if !p.Match(r) {
			t.Fatalf("%s/%s does not match itself", host, path)
		}
		for _, other := range []string{"evil.example", host + ".evil.example", "evil-" + host, "evil." + host} {
			v := *u
			if v.Host = other; p.Match(&http.Request{Method: http.MethodGet, URL: &v}) && !strings.EqualFold(other, host) {
				t.Fatalf("%s/%s matches the host %s", host, path, other)
			}
		}
	})
}
