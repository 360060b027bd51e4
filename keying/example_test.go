package keying_test

import (
	"errors"
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

// requestKey returns the key of a request with header fields, given as name, value, name, value; or the error that says why there is none.
func requestKey(s keying.Strategy, method, url, body string, header ...string) string {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	key, err := s.AppendKey(nil, r)
	if err != nil {
		return err.Error()
	}
	return string(key)
}

// A server that answers by a field which it does not name in Vary.
func ExampleHeader() {
	s := keying.New(keying.Header("X-Api-Version"))
	v1 := requestKey(s, "GET", "http://example.com/", "", "X-Api-Version", "1", "Accept", "text/html")
	fmt.Println(v1 == requestKey(s, "GET", "http://example.com/", "", "X-Api-Version", "1"))
	fmt.Println(v1 == requestKey(s, "GET", "http://example.com/", "", "X-Api-Version", "2"))
	// Output:
	// true
	// false
}

// A server that sends no Vary at all: all fields count but those that differ each time.
func ExampleAllHeaders() {
	s := keying.New(keying.AllHeaders("Traceparent"))
	english := requestKey(s, "GET", "http://example.com/", "", "Accept-Language", "en", "Traceparent", "00-1-1-00")
	fmt.Println(english == requestKey(s, "GET", "http://example.com/", "", "Accept-Language", "en", "Traceparent", "00-2-2-00"))
	fmt.Println(english == requestKey(s, "GET", "http://example.com/", "", "Accept-Language", "de"))
	// Output:
	// true
	// false
}

func ExampleMethod() {
	s := keying.New(keying.Method(), keying.Body(keying.BodyOptions{}))
	fmt.Println(requestKey(s, "POST", "http://example.com/", "x") == requestKey(s, "PATCH", "http://example.com/", "x"))
	// Output: false
}

// How to test a strategy: what is to share has one key, and two users have not.
func Example() {
	s := keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}}))
	alice := requestKey(s, "GET", "https://news.example/7", "", "Authorization", "Bearer alice")
	fmt.Println("a link in a mail shares:", alice == requestKey(s, "GET", "https://news.example/7?utm_source=mail", "", "Authorization", "Bearer alice"))
	fmt.Println("bob shares:", alice == requestKey(s, "GET", "https://news.example/7", "", "Authorization", "Bearer bob"))
	// Output:
	// a link in a mail shares: true
	// bob shares: false
}

// GraphQL over POST: documents are compared by their tokens, and a mutation has no key. The cache needs POST in its Methods.
func ExampleBody_graphQL() {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	me := requestKey(s, "POST", "https://api.example/graphql", `{"query": "{me{id}}"}`, "Content-Type", "application/json")
	fmt.Println(me == requestKey(s, "POST", "https://api.example/graphql", `{"query": "{ me { id } }"}`, "Content-Type", "application/json"))
	fmt.Println(requestKey(s, "POST", "https://api.example/graphql", `{"query": "mutation { rename }"}`, "Content-Type", "application/json"))
	// Output:
	// true
	// the GraphQL request is not a query
}

// The users of one tenant share. A request without a tenant has no key, and is not cached.
func ExamplePrincipal_tenant() {
	s := keying.New(keying.Principal(func(r *http.Request) (string, error) {
		if tenant := r.Header.Get("X-Tenant"); tenant != "" {
			return tenant, nil
		}
		return "", errors.New("the request has no tenant")
	}))
	ada := requestKey(s, "GET", "https://api.example/prices", "", "X-Tenant", "acme", "Authorization", "Bearer ada")
	fmt.Println(ada == requestKey(s, "GET", "https://api.example/prices", "", "X-Tenant", "acme", "Authorization", "Bearer bob"))
	fmt.Println(requestKey(s, "GET", "https://api.example/prices", "", "Authorization", "Bearer ada"))
	// Output:
	// true
	// the request has no tenant
}

// A part of one's own beside the others: the day for which a menu is asked.
func ExamplePartFunc() {
	s := keying.New(keying.PartFunc(func(dst []byte, r *http.Request) ([]byte, error) {
		return append(dst, r.Header.Get("X-Day")...), nil
	}))
	monday := requestKey(s, "GET", "https://api.example/menu", "", "X-Day", "monday")
	fmt.Println(monday == requestKey(s, "GET", "https://api.example/menu", "", "X-Day", "tuesday"))
	// Output: false
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
