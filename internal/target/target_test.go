package target

import (
	"net/http"
	"net/url"
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
