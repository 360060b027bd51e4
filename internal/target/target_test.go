package target

import (
	"bytes"
	"context"
	"errors"
	"net"
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

// RFC 9110 §4.2.3 and RFC 3986 §6.2: what is one URI and what is two. What is one may be sent in two ways.
// The query percent-encode set of the URL Standard: what ply escapes in what it sends names the same resource as before.
func TestQueriesAreEscaped(t *testing.T) {
	for given, want := range map[string]string{
		"":                     "",
		"a=b+c":                "a=b+c",
		"a=hello world":        "a=hello%20world",
		"a=hello%20world":      "a=hello%20world",
		"a=%7e%c3%bc ü":        "a=~%C3%BC%20%C3%BC",
		`a="<x>"#`:             "a=%22%3Cx%3E%22%23",
		"a='{[x]}'|\\^`;/?%zz": "a='{[x]}'|\\^`;/?%zz",
	} {
		if got := NormalQuery(&url.URL{RawQuery: given}); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestURIsAreEqualAsRFC9110Section4_2_3Says(t *testing.T) {
	for _, test := range []struct {
		a, b  string
		same  bool
		apart bool // sent in two ways
	}{
		{"http://example.com", "http://example.com/", true, false},
		{"http://example.com:80/a", "http://EXAMPLE.com/a", true, false},
		{"http://example.com:/a", "http://example.com/a", true, false},
		{"https://example.com:443/a", "https://example.com/a", true, false},
		{"http://example.com:443/a", "http://example.com/a", false, false},
		{"http://example.com/a", "https://example.com/a", false, false},
		{"HTTP://example.com/a", "http://example.com/a", true, false},
		{"http://example.com/%7esmith/home.html", "http://example.com/~smith/home.html", true, true},
		{"http://example.com/%7Esmith/home.html", "http://example.com/~smith/home.html", true, true},
		{"http://example.com/a%2fb", "http://example.com/a%2Fb", true, true},
		{"http://example.com/a%2Fb", "http://example.com/a/b", false, false},
		{"http://example.com/a/./b/../c", "http://example.com/a/c", true, true},
		{"http://example.com/a/%2e%2E/c", "http://example.com/c", true, true},
		{"http://example.com/../a", "http://example.com/a", true, true},
		{"http://example.com/a/..", "http://example.com/", true, true},
		{"http://example.com/a/.", "http://example.com/a/", true, true},
		{"http://example.com/a.b", "http://example.com/a.b", true, false},
		{"http://example.com/a//b", "http://example.com/a/b", false, false},
		{"http://example.com/a/", "http://example.com/a", false, false},
		{"http://example.com/A", "http://example.com/a", false, false},
		{"http://example.com/a?", "http://example.com/a", false, false},
		{"http://example.com/a?b=%7E", "http://example.com/a?b=~", true, true},
		{"http://example.com/a?b=1&c=2", "http://example.com/a?c=2&b=1", false, false},
		{"http://example.com/a#x", "http://example.com/a#y", true, false},
		{"http://u:p@example.com/a", "http://example.com/a", true, false},
		{"http://example.com/a?/b", "http://example.com/a/b?", false, false},
		{"http://[::1]:80/", "http://[::1]/", true, false},
		{"http://[::1]:8080/", "http://[::1]/", false, false},
		{"http://bücher.example/a", "http://xn--bcher-kva.example/a", true, false},
		{"http://BÜCHER.example/a", "http://bücher.example/a", true, false},
		{"http://bücher.example:80/a", "http://XN--BCHER-KVA.example/a", true, false},
		{"http://bücher\u3002example/a", "http://bücher.example/a", true, false},
		{"http://\u0130.example/a", "http://i.example/a", false, false},
		{"http://example.com./a", "http://example.com/a", false, false},
	} {
		if got := normal(t, test.a) == normal(t, test.b); got != test.same {
			t.Errorf("%s and %s: equivalent = %v, want %v", test.a, test.b, got, test.same)
		}
		if got, want := key(t, test.a) == key(t, test.b), test.same && !test.apart; got != want {
			t.Errorf("%s and %s: sent as one = %v, want %v", test.a, test.b, got, want)
		}
	}
}

func normal(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendURI(nil, Normal(&http.Request{URL: u, Host: u.Host})))
}

// An opaque URL is the request target as it is sent.
func TestOpaqueURLsAreWhatIsSent(t *testing.T) {
	u, _ := url.Parse("http://h/a%2fb?c=d")
	want := string(AppendURI(nil, &http.Request{URL: u, Host: "h"}))
	for _, test := range []struct {
		opaque, query string
		same          bool
	}{
		{"/a%2fb", "c=d", true},
		{"/a%2fb?c=d", "", true},
		{"//h/a%2fb?c=d", "", true},
		{"//H:80/a%2fb", "c=d", true},
		{"//other/a%2fb", "c=d", false},
		{"/a/b", "c=d", false},
		{"/a%2Fb", "c=d", false},
		{"/a%2fb?c=d?", "", false},
		{"a%2fb", "c=d", false},
		{"/a%2fb\xfc", "c=d", false},
	} {
		r := &http.Request{Host: "h", URL: &url.URL{Scheme: "http", Host: "h", Opaque: test.opaque, RawQuery: test.query}}
		if got := string(AppendURI(nil, r)) == want; got != test.same {
			t.Errorf("%q with %q: same = %v, want %v", test.opaque, test.query, got, test.same)
		}
	}
}

// net/http is asked what it makes of a host that is not ASCII.
func TestHostsAreWhatNetHTTPMakesOfThem(t *testing.T) {
	var dialed string
	transport := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		dialed = strings.TrimSuffix(address, ":80")
		return nil, errors.New("no network")
	}}
	for _, host := range []string{
		"bücher.example", "BÜCHER.example", "www.bücher.example", "他们为什么不说中文.example", "почемужеонинеговорятпорусски.рф", "ü.ü", "straße.de", "a\u3002ü.example",
		"mañana-123.example", "\U0001f4a9.la", "ΑΒΓ.gr", "εξ.gr",
	} {
		r := &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: host, Path: "/"}}
		var wire strings.Builder
		if err := r.Write(&wire); err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(wire.String(), "Host: ")
		written, _, _ := strings.Cut(after, "\r\n")
		if got := wireHost(host + ":8080"); got != written+":8080" {
			t.Errorf("%s: wireHost is %q, and net/http writes %q", host, got, written)
		}
		if _, err := transport.RoundTrip(r); err == nil {
			t.Fatal("no network")
		}
		wire.Reset()
		if err := OnWire(r).Write(&wire); err != nil {
			t.Fatal(err)
		}
		if want := "Host: " + dialedHost(host) + "\r\n"; !strings.Contains(wire.String(), want) {
			t.Errorf("%s: sent as %q, want %q", host, wire.String(), want)
		}
		if got := dialedHost(host); got != dialed && strings.ToLower(got) != dialed {
			t.Errorf("%s: dialedHost is %q, and net/http connects to %q", host, got, dialed)
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

// plainly writes the target URI without any shortcut, for hosts in ASCII.
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
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	key = sized(append(key, 0), []byte(path))
	if u.RawQuery == "" && !u.ForceQuery {
		return append(key, 0)
	}
	return sized(append(key, 1), []byte(u.RawQuery))
}

// FuzzURI: the shortcuts for URIs that are in their normal form already change nothing.
func FuzzURI(f *testing.F) {
	f.Add("http", "example.com", "", "/a/b.html", "", "c=d")
	f.Add("HTTPS", "Example.COM:443", "example.com", "/a/../b", "/a/%2e%2E/b", "c=%7e")
	f.Add("http", "[::1]:80", "other", "a b/./", "", "%")
	f.Add("", "a:80:", ":", "..", "", "")
	f.Add("http", "h", "", "/.well-known/x~y_z-0", "", "q=/.")
	f.Fuzz(func(t *testing.T, scheme, host, named, path, rawPath, query string) {
		if !isASCII(host) || !isASCII(named) {
			t.Skip()
		}
		r := &http.Request{Host: named, URL: &url.URL{Scheme: scheme, Host: host, Path: path, RawPath: rawPath, RawQuery: query}}
		if got, want := AppendURI(nil, r), plainly(r); !bytes.Equal(got, want) {
			t.Fatalf("%q\n%q, want\n%q", r.URL, got, want)
		}
		if again := AppendURI([]byte("before"), r); string(again) != "before"+string(plainly(r)) {
			t.Fatalf("behind something else: %q", again)
		}
	})
}
