package target

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func key(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendURI(nil, &http.Request{URL: u}))
}

// RFC 9110 §4.2.3 and RFC 3986 §6.2: what is one URI and what is two.
func TestURIsAreEqualAsRFC9110Section4_2_3Says(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"http://example.com", "http://example.com/", true},
		{"http://example.com:80/a", "http://EXAMPLE.com/a", true},
		{"http://example.com:/a", "http://example.com/a", true},
		{"https://example.com:443/a", "https://example.com/a", true},
		{"http://example.com:443/a", "http://example.com/a", false},
		{"http://example.com/a", "https://example.com/a", false},
		{"HTTP://example.com/a", "http://example.com/a", true},
		{"http://example.com/%7esmith/home.html", "http://example.com/~smith/home.html", true},
		{"http://example.com/%7Esmith/home.html", "http://example.com/~smith/home.html", true},
		{"http://example.com/a%2fb", "http://example.com/a%2Fb", true},
		{"http://example.com/a%2Fb", "http://example.com/a/b", false},
		{"http://example.com/a/./b/../c", "http://example.com/a/c", true},
		{"http://example.com/a/%2e%2E/c", "http://example.com/c", true},
		{"http://example.com/../a", "http://example.com/a", true},
		{"http://example.com/a/..", "http://example.com/", true},
		{"http://example.com/a/.", "http://example.com/a/", true},
		{"http://example.com/a.b", "http://example.com/a.b", true},
		{"http://example.com/a//b", "http://example.com/a/b", false},
		{"http://example.com/a/", "http://example.com/a", false},
		{"http://example.com/A", "http://example.com/a", false},
		{"http://example.com/a?", "http://example.com/a", false},
		{"http://example.com/a?b=%7E", "http://example.com/a?b=~", true},
		{"http://example.com/a?b=1&c=2", "http://example.com/a?c=2&b=1", false},
		{"http://example.com/a#x", "http://example.com/a#y", true},
		{"http://u:p@example.com/a", "http://example.com/a", true},
		{"http://example.com/a?/b", "http://example.com/a/b?", false},
		{"http://[::1]:80/", "http://[::1]/", true},
		{"http://[::1]:8080/", "http://[::1]/", false},
	} {
		if got := key(t, test.a) == key(t, test.b); got != test.same {
			t.Errorf("%s and %s: same = %v, want %v", test.a, test.b, got, test.same)
		}
	}
}

func TestHostIsPartOfTheTarget(t *testing.T) {
	u, _ := url.Parse("http://10.0.0.1/a")
	direct := string(AppendURI(nil, &http.Request{URL: u}))
	named := string(AppendURI(nil, &http.Request{URL: u, Host: "example.com"}))
	same := string(AppendURI(nil, &http.Request{URL: u, Host: "10.0.0.1:80"}))
	if direct == named {
		t.Error("another Host must be another target")
	}
	if direct != same {
		t.Error("the default port must make no difference")
	}
}

func TestAppendURIAllocatesNothing(t *testing.T) {
	u, _ := url.Parse("https://example.com/a/b.html?c=d")
	r := &http.Request{URL: u, Host: "example.com"}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf = AppendURI(buf[:0], r) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// plainly writes the target URI without any shortcut: every part in its normal form, byte for byte.
func plainly(r *http.Request) []byte {
	u := r.URL
	sized := func(dst, part []byte) []byte {
		return append(append(dst, byte(len(part)>>24), byte(len(part)>>16), byte(len(part)>>8), byte(len(part))), part...)
	}
	lowered := func(s string) []byte {
		b := []byte(s)
		for i, c := range b {
			b[i] = lower(c)
		}
		return b
	}
	authority := func(host string) []byte {
		for _, port := range []string{"", "80", "443"} {
			bare, ok := strings.CutSuffix(host, ":"+port)
			if ok && !strings.Contains(host[len(bare):], "]") && (port == "" || port == "80" && string(lowered(u.Scheme)) == "http" || port == "443" && string(lowered(u.Scheme)) == "https") {
				return lowered(bare)
			}
		}
		return lowered(host)
	}
	host := r.Host
	if host == "" {
		host = u.Host
	}
	key := sized(sized(nil, lowered(u.Scheme)), authority(host))
	if bytes.Equal(authority(host), authority(u.Host)) {
		key = append(key, 0)
	} else {
		key = sized(key, authority(u.Host))
	}
	if u.Opaque != "" {
		key = Append(append(key, 1), u.Opaque)
	} else {
		path := appendPercent(nil, u.EscapedPath())
		if len(path) == 0 {
			path = []byte("/")
		}
		key = sized(append(key, 0), path[:removeDotSegments(path)])
	}
	if u.RawQuery == "" && !u.ForceQuery {
		return append(key, 0)
	}
	return sized(append(key, 1), appendPercent(nil, u.RawQuery))
}

// FuzzURI: the shortcuts for URIs that are in their normal form already change nothing.
func FuzzURI(f *testing.F) {
	f.Add("http", "example.com", "", "/a/b.html", "", "c=d")
	f.Add("HTTPS", "Example.COM:443", "example.com", "/a/../b", "/a/%2e%2E/b", "c=%7e")
	f.Add("http", "[::1]:80", "other", "a b/./", "", "%")
	f.Add("", "a:80:", ":", "..", "", "")
	f.Add("http", "h", "", "/.well-known/x~y_z-0", "", "q=/.")
	f.Fuzz(func(t *testing.T, scheme, host, named, path, rawPath, query string) {
		r := &http.Request{Host: named, URL: &url.URL{Scheme: scheme, Host: host, Path: path, RawPath: rawPath, RawQuery: query}}
		if got, want := AppendURI(nil, r), plainly(r); !bytes.Equal(got, want) {
			t.Fatalf("%q\n%q, want\n%q", r.URL, got, want)
		}
		if again := AppendURI([]byte("before"), r); string(again) != "before"+string(plainly(r)) {
			t.Fatalf("behind something else: %q", again)
		}
	})
}
