package keying_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/keying"
)

func TestURLIgnoresParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source", "a b"}})), []same{
		{"ignored", request(t, "GET http://h/?x=1&utm_source=y"), request(t, "GET http://h/?x=1"), true},
		{"ignored, encoded", request(t, "GET http://h/?a+b=1&x=1"), request(t, "GET http://h/?a%20b=2&x=1"), true},
		{"counts", request(t, "GET http://h/?x=1"), request(t, "GET http://h/?x=2"), false},
		{"order counts", request(t, "GET http://h/?x=1&y=2"), request(t, "GET http://h/?y=2&x=1"), false},
	})
}

func TestURLCountsOnlyNamedParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Only: []string{"id"}})), []same{
		{"others", request(t, "GET http://h/?id=1&t=5"), request(t, "GET http://h/?id=1&t=6"), true},
		{"named", request(t, "GET http://h/?id=1"), request(t, "GET http://h/?id=2"), false},
	})
}

func TestURLSortsParameters(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Sort: true})), []same{
		{"order of names", request(t, "GET http://h/?x=1&y=2"), request(t, "GET http://h/?y=2&x=1"), true},
		{"order of values", request(t, "GET http://h/?x=1&x=2"), request(t, "GET http://h/?x=2&x=1"), false},
		{"empty parameters", request(t, "GET http://h/?x=1&&y=2&"), request(t, "GET http://h/?x=1&y=2"), true},
		{"joined values", request(t, "GET http://h/?x=1%26y"), request(t, "GET http://h/?x=1&y"), false},
	})
}

// To some servers a semicolon separates parameters: what is dropped, or moved, for the name at its beginning would take others with it.
func TestQueriesWithSemicolonsCountWhole(t *testing.T) {
	for name, o := range map[string]keying.URLOptions{"ignored": {Ignore: []string{"t"}}, "only": {Only: []string{"id"}}, "sorted": {Sort: true}} {
		s := keying.New(keying.URL(o))
		check(t, s, []same{
			{name + ", behind another", request(t, "GET http://h/?t=x;id=1"), request(t, "GET http://h/?t=x;id=2"), false},
			{name + ", a secret", request(t, "GET http://h/?t=x;api_key=1"), request(t, "GET http://h/?t=x;api_key=2"), false},
			{name + ", moved", request(t, "GET http://h/?a=1;id=1&id=2"), request(t, "GET http://h/?id=2&a=1;id=1"), false},
			{name + ", none", request(t, "GET http://h/?t=x;id=1"), request(t, "GET http://h/"), false},
			{name + ", the same", request(t, "GET http://h/?t=x;id=1"), request(t, "GET http://h/?t=x;id=1"), true},
		})
		if a, b := request(t, "GET http://h/?t=x;id=1"), request(t, "GET http://h/?t=x;id=2"); resource(t, s, a) == resource(t, s, b) {
			t.Errorf("%s: one resource", name)
		}
	}
}

func TestURLPathTemplates(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Paths: []string{"/static/*/app.js", "/docs/**", "/x/**/y"}})), []same{
		{"two asterisks before the end stand for themselves", request(t, "GET http://h/x/1/y"), request(t, "GET http://h/x/2/y"), false},
		{"one segment", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/2/app.js"), true},
		{"another file", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/1/b.js"), false},
		{"two segments", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/1/2/app.js"), false},
		{"the rest", request(t, "GET http://h/docs/a/b"), request(t, "GET http://h/docs/c"), true},
		{"two templates", request(t, "GET http://h/docs/a"), request(t, "GET http://h/static/1/app.js"), false},
		{"a rest of nothing", request(t, "GET http://h/docs"), request(t, "GET http://h/docs/a"), true},
		{"the beginning of a template", request(t, "GET http://h/static"), request(t, "GET http://h/static/1"), false},
		{"all but the end of a template", request(t, "GET http://h/static/1"), request(t, "GET http://h/static/2"), false},
		{"a dot segment", request(t, "GET http://h/docs/."), request(t, "GET http://h/docs/a"), false},
		{"a path that looks like a template", request(t, "GET http://h/static/1/app.js"), request(t, "GET http://h/static/*/app.js?"), false},
	})
}

func TestURLHostAliases(t *testing.T) {
	check(t, keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"Mirror.example:8080": "example.com", "two.example:80": "example.com"}})), []same{
		{"with the scheme's own port", request(t, "GET http://two.example:80/a"), request(t, "GET http://example.com/a"), true},
		{"that goes without saying", request(t, "GET http://two.example/a"), request(t, "GET http://example.com/a"), true},
		{"another scheme's", request(t, "GET https://two.example/a"), request(t, "GET https://example.com/a"), false},
		{"alias", request(t, "GET http://mirror.example:8080/a"), request(t, "GET http://example.com/a"), true},
		{"alias in another case", request(t, "GET http://MIRROR.Example:8080/a"), request(t, "GET http://example.com/a"), true},
		{"its host in another case", request(t, "GET http://mirror.example:8080/a"), request(t, "GET http://EXAMPLE.com/a"), true},
		{"with a scheme in capitals", schemeOf(request(t, "GET http://two.example/a"), "HTTP"), request(t, "GET http://example.com/a"), true},
		{"another port", request(t, "GET http://mirror.example:8081/a"), request(t, "GET http://example.com/a"), false},
		{"a host field of its own", hostOf(request(t, "GET http://10.0.0.1/a"), "Two.Example:80"), request(t, "GET http://example.com/a"), true},
		{"no alias", request(t, "GET http://other.example/a"), request(t, "GET http://example.com/a"), false},
	})
}

// Two requests that are sent in two ways have two keys, whatever part of them counts.
func TestURLComparesAsSent(t *testing.T) {
	s := keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}, Sort: true, Paths: []string{"/docs/*", "/all/**"}, Hosts: map[string]string{"Bücher.example": "books.example"}}))
	check(t, s, []same{
		{"dot segments", request(t, "GET http://h/a/../b"), request(t, "GET http://h/b"), false},
		{"a dot segment is nothing that a template stands for", request(t, "GET http://h/docs/.."), request(t, "GET http://h/docs/a"), false},
		{"nor is an encoded one", request(t, "GET http://h/all/%2e%2E/b"), request(t, "GET http://h/all/a"), false},
		{"percent-encoding of a path", request(t, "GET http://h/%61"), request(t, "GET http://h/a"), false},
		{"percent-encoding of a parameter", request(t, "GET http://h/?a=%62"), request(t, "GET http://h/?a=b"), false},
		{"two forms of a host", request(t, "GET http://bücher.example/"), request(t, "GET http://xn--bcher-kva.example:80/"), true},
		{"a mapped host", request(t, "GET http://xn--bcher-kva.example/"), request(t, "GET http://books.example/"), true},
	})
}

// schemeOf returns r with a scheme as it stands, which url.Parse would have brought into lower case.
func schemeOf(r *http.Request, scheme string) *http.Request { r.URL.Scheme = scheme; return r }

// hostOf returns r with a Host other than that of its URL.
func hostOf(r *http.Request, host string) *http.Request { r.Host = host; return r }

func TestMethodSeparatesMethods(t *testing.T) {
	empty := request(t, "GET http://h/")
	empty.Method = ""
	check(t, keying.New(keying.Method()), []same{
		{"another method", request(t, "GET http://h/"), request(t, "POST http://h/"), false},
		{"HEAD is not GET", request(t, "GET http://h/"), request(t, "HEAD http://h/"), false},
		{"case counts", request(t, "GET http://h/"), request(t, "get http://h/"), false},
		{"none is GET", request(t, "GET http://h/"), empty, true},
	})
	check(t, keying.New(), []same{{"without the part", request(t, "GET http://h/"), request(t, "POST http://h/"), true}})
}
