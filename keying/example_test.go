package keying_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/keying"
)

func sameKey(s keying.Strategy, a, b string) bool {
	one, _ := http.NewRequest("GET", a, nil)
	two, _ := http.NewRequest("GET", b, nil)
	k1, _ := s.AppendKey(nil, one)
	k2, _ := s.AppendKey(nil, two)
	return string(k1) == string(k2)
}

func ExampleDefault() {
	fmt.Println(sameKey(keying.Default(), "http://example.com", "HTTP://EXAMPLE.com:80/#top"))
	fmt.Println(sameKey(keying.Default(), "http://example.com/a", "http://example.com/A"))
	// Output:
	// true
	// false
}

func ExampleNew() {
	s := keying.New(
		keying.Prefix("v2"),
		keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}, Sort: true}),
		keying.Header("X-Api-Version"),
	)
	fmt.Println(sameKey(s, "http://example.com/?a=1&b=2&utm_source=x", "http://example.com/?b=2&a=1"))
	// Output: true
}

func ExampleFunc() {
	pathOnly := keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
		return append(dst, r.URL.Path...), nil
	})
	fmt.Println(sameKey(pathOnly, "http://a.example/x", "http://b.example/x"))
	// Output: true
}

func ExampleSingleUser() {
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	before, _ := keying.SingleUser().AppendKey(nil, r)
	r.Header.Set("Cookie", "session=new")
	after, _ := keying.SingleUser().AppendKey(nil, r)
	fmt.Println(string(before) == string(after))
	// Output: true
}

func ExampleURL() {
	s := keying.New(keying.URL(keying.URLOptions{
		Only:  []string{"page"},
		Paths: []string{"/static/*/app.js"},
		Hosts: map[string]string{"mirror.example.com": "example.com"},
	}))
	fmt.Println(sameKey(s, "http://example.com/?page=1&t=5", "http://mirror.example.com/?t=6&page=1"))
	fmt.Println(sameKey(s, "http://example.com/static/41/app.js", "http://example.com/static/42/app.js"))
	// Output:
	// true
	// true
}

func ExamplePrincipal() {
	s := keying.New(keying.Principal(func(r *http.Request) (string, error) {
		return r.Header.Get("X-User"), nil // the same user, whichever token the request carries
	}))
	a, _ := http.NewRequest("GET", "http://example.com/", nil)
	b, _ := http.NewRequest("GET", "http://example.com/", nil)
	a.Header.Set("X-User", "ann")
	b.Header.Set("X-User", "bob")
	one, _ := s.AppendKey(nil, a)
	two, _ := s.AppendKey(nil, b)
	fmt.Println(string(one) == string(two))
	// Output: false
}

func ExampleIgnoreCredentials() {
	s := keying.New(keying.URL(keying.URLOptions{Sort: true}), keying.IgnoreCredentials())
	fmt.Println(sameKey(s, "http://example.com/?a=1&b=2", "http://example.com/?b=2&a=1"))
	// Output: true
}

func ExampleBody() {
	s := keying.New(keying.Body(keying.BodyOptions{Ignore: []string{"requestId"}}))
	search := func(content string) string {
		r, _ := http.NewRequest("QUERY", "http://example.com/search", strings.NewReader(content))
		r.Header.Set("Content-Type", "application/json")
		k, _ := s.AppendKey(nil, r)
		return string(k)
	}
	fmt.Println(search(`{"q":"go","n":5,"requestId":1}`) == search(`{"n": 5, "q": "go", "requestId": 2}`))
	// Output: true
}

func ExampleHeader() {
	s := keying.New(keying.Header("X-Api-Version"))
	fmt.Println(sameKey(s, "http://example.com/", "http://example.com/"))
	// Output: true
}

func ExampleMethod() {
	s := keying.New(keying.Method(), keying.Body(keying.BodyOptions{}))
	fmt.Println(sameKey(s, "http://example.com/", "http://example.com/"))
	// Output: true
}

func ExamplePrefix() {
	old, new := keying.New(keying.Prefix("v1")), keying.New(keying.Prefix("v2"))
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	a, _ := old.AppendKey(nil, r)
	b, _ := new.AppendKey(nil, r)
	fmt.Println(string(a) == string(b))
	// Output: false
}

// A strategy that takes an article and its printed form for one, for all users.
type articles struct{}

func (articles) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return append(dst, strings.TrimSuffix(r.URL.Path, "/print")...), nil
}

// AppendResource says it of the URL: a write to one ends what is stored for the other.
func (a articles) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	return a.AppendKey(dst, r)
}

func ExampleResourceStrategy() {
	var s keying.ResourceStrategy = articles{}
	for _, url := range []string{"https://news.example/7", "https://news.example/7/print"} {
		r, _ := http.NewRequest(http.MethodGet, url, nil)
		resource, _ := s.AppendResource(nil, r)
		fmt.Printf("%s\n", resource)
	}
	// Output:
	// /7
	// /7
}
