package rfc9111

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9111 §4.4: what an unsafe request makes invalid.
func TestInvalidation(t *testing.T) {
	for _, test := range []struct {
		method string
		status int
		want   bool
	}{
		{"POST", 200, true}, {"PUT", 201, true}, {"DELETE", 204, true}, {"PATCH", 303, true}, {"M-SEARCH", 200, true}, {"post", 200, true},
		{"POST", 400, false}, {"POST", 500, false}, {"POST", 100, false},
		{"GET", 200, false}, {"HEAD", 200, false}, {"OPTIONS", 200, false}, {"TRACE", 200, false}, {"QUERY", 200, false}, {"", 200, false},
	} {
		if got := Invalidates(test.method, test.status, private); got != test.want {
			t.Errorf("%s %d: %v, want %v", test.method, test.status, got, test.want)
		}
	}
	for status, want := range map[int]bool{199: false, 200: true, 399: true, 400: false} {
		if got := Invalidates("PUT", status, private); got != want {
			t.Errorf("PUT %d: %v, want %v", status, got, want)
		}
	}
	if Invalidates("PUT", 200, &Policy{Methods: []string{"PUT"}}) {
		t.Error("a method that the user lets be answered from the store invalidates")
	}
}

// RFC 9111 §4.4: which URIs a Location or a Content-Location names, seen from http://h/a, and whether the origin is the same.
func TestInvalidationResolvesReferences(t *testing.T) {
	for _, test := range []struct {
		host       string // the request's own Host, if it has one
		lines      []string
		resolved   string
		sameOrigin string
	}{
		{"", []string{"/b"}, "http://h/b", "http://h/b"},
		{"", []string{" b?c "}, "http://h/b?c", "http://h/b?c"},
		{"", []string{"http://h/b"}, "http://h/b", "http://h/b"},
		{"", []string{"HTTP://H:80/b"}, "http://H:80/b", "http://h/b"},
		{"", []string{"http://other/b"}, "http://other/b", ""},
		{"", []string{"https://h/b"}, "", ""},
		{"", []string{"http://%zz/"}, "", ""},
		{"", []string{"/b", "/b"}, "", ""},
		{"", nil, "", ""},
		{"v", []string{"/b"}, "http://v/b", "http://h/b"},
		{"v", []string{"http://v/b"}, "http://v/b", "http://h/b"},
		{"v", []string{"http://h/b"}, "http://h/b", ""},
	} {
		r := newRequest("POST", "")
		r.Host = test.host
		resolved, same := "", ""
		if u := Resolved(r, test.lines); u != nil {
			resolved = u.String()
		}
		if other := SameOrigin(r, test.lines); other != nil {
			same = other.URL.String()
			if other.Method != "GET" || other.Host != test.host {
				t.Errorf("%q: %s with Host %q", test.lines, other.Method, other.Host)
			}
		}
		if resolved != test.resolved || same != test.sameOrigin {
			t.Errorf("Host %q, %q: %q, %q; want %q, %q", test.host, test.lines, resolved, same, test.resolved, test.sameOrigin)
		}
	}
}

// RFC 9110 §9.3.3: a Content-Location that is the target URI, by whatever spelling.
func TestInvalidationByContentLocation(t *testing.T) {
	for location, want := range map[string]bool{"/a": true, "http://H:80/%61": true, "/b": false, "http://other/a": false, "": true} {
		resp := &http.Response{Header: http.Header{"Content-Location": {location}}}
		if got := locatesItself(newRequest("POST", ""), resp); got != want {
			t.Errorf("%q: %v, want %v", location, got, want)
		}
	}
	if locatesItself(newRequest("POST", ""), &http.Response{}) {
		t.Error("a response without Content-Location locates itself")
	}
}

func TestInvalidationTags(t *testing.T) {
	one := newRequest("GET", "")
	query := newRequest("GET", "")
	query.URL.RawQuery = "q=1"
	if URITag(one) == URITag(query) || SearchTag(one) != SearchTag(query) || URITag(one) == SearchTag(one) {
		t.Error("the tag of a URI has its query, the one for No-Vary-Search has not, and the two kinds differ")
	}
	if got := fmt.Sprintf("%x", URITag(query)); got != "95ad08fd5d1d96ce4784ac1d2f681b94" {
		t.Errorf("the tag that is stored for a URI has changed: %s", got)
	}
	if tags := URITags(nil, query); len(tags) != 2 || tags[0] != URITag(query) || tags[1] != SearchTag(query) {
		t.Error("a URI has one tag of each kind")
	}
}

func TestInvalidationShowsURLsWithoutUserinfo(t *testing.T) {
	r := newRequest("GET", "")
	r.URL.User, r.URL.Fragment, r.URL.RawQuery = url.User("secret"), "f", "q=1"
	if got := DisplayURL(r); got != "http://h/a?q=1" {
		t.Error(got)
	}
	r.Host = "v"
	if got := DisplayURL(r); got != "http://v/a?q=1" {
		t.Error(got)
	}
	if got := DisplayURL(&http.Request{URL: &url.URL{Scheme: "http", Host: "h", Opaque: "/a%2fb"}}); got != "http://h/a%2fb" {
		t.Error(got)
	}
}

// Whatever is known, the result is that of DisplayURL; and what is known is found to be it, or a revalidation makes it once more.
func TestDisplayURLAsIsDisplayURL(t *testing.T) {
	var all []*http.Request
	for _, raw := range []string{
		"http://a.example", "http://a.example/", "http://A.example/", "http://a.example:80/x", "http://a.example/x?", "http://a.example/x", "http://a.example/x?y", "http://a.example/x?y?",
		"http://a.example/x??y", "http://a.example/%7Eb", "http://a.example/~b", "http://a.example/a%2Fb", "http://a.example/a/b", "https://a.example/x", "http://a.example//x", "http://[::1%25eth0]/x",
		"http://u:p@a.example/x?y#z", "http://bücher.example/ü?ü", "http://a.example/a b", "http://a.example/x%3Fy",
	} {
		r, err := http.NewRequest(http.MethodGet, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		hosted := r.Clone(t.Context())
		hosted.Host = "v.example"
		all = append(all, r, hosted)
	}
	all = append(all, &http.Request{URL: &url.URL{Scheme: "http", Host: "a.example", Opaque: "/x"}}, &http.Request{URL: &url.URL{Scheme: "http", Host: "a.example", Path: "x"}})
	for _, r := range all {
		for _, other := range all {
			if got, want := DisplayURLAs(DisplayURL(other), r), DisplayURL(r); got != want {
				t.Errorf("%s, known as %s, is shown as %s", want, DisplayURL(other), got)
			}
		}
	}
	known, again := DisplayURL(all[12]), all[12]
	if n := testing.AllocsPerRun(10, func() { DisplayURLAs(known, again) }); n != 0 {
		t.Errorf("%v allocations for what is known", n)
	}
}

func TestSearchTagIsTheOneOfTheURIWithoutItsQuery(t *testing.T) {
	for _, raw := range []string{
		"http://a.example", "http://a.example/", "http://A.example:80/x?", "http://a.example/x?q=%7e&b", "https://a.example/%7Eb/../c?q",
		"http://bücher.example/ü?ü", "http://u:p@a.example/x?y#z",
	} {
		r, err := http.NewRequest(http.MethodGet, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		requests := []*http.Request{r}
		for _, opaque := range []string{"//a.example/x?q", "//other.example/x?q", "/%7e?q"} {
			o := *r
			u := *r.URL
			u.Opaque = opaque
			o.URL = &u
			requests = append(requests, &o)
		}
		for _, r := range requests {
			if SearchTag(r) != KindTag(SearchKind, stored.WithoutQuery(r)) {
				t.Errorf("%s, opaque %q: another tag than the URI without its query", raw, r.URL.Opaque)
			}
		}
	}
}
