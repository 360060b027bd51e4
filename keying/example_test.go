package keying_test

import (
	"fmt"
	"net/http"

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

func ExampleOf() {
	s := keying.Of(
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
