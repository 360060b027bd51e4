package expiry_test

import (
	"fmt"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// Ignore what the server says, keep for an hour.
func ExampleAfter() {
	v := expiry.After(time.Hour).Expiry(exchange("http://example.com/", 200, "Cache-Control: no-store"))
	fmt.Println(v.For(0))
	// Output: 1h0m0s
}

func ExampleByURL() {
	s, err := expiry.ByURL(
		expiry.Rule{Pattern: "example.com/static/**", Strategy: expiry.Never()},
		expiry.Rule{Pattern: "*.example.com", Strategy: expiry.After(time.Minute)},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Expiry(exchange("http://api.example.com/users", 200)).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/users", 200)).Silent())
	// Output:
	// 1m0s
	// true
}

func ExampleFirst() {
	s := expiry.First(
		expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(time.Second)}),
		expiry.Server(),
		expiry.After(time.Minute),
	)
	fmt.Println(s.Expiry(exchange("http://example.com/", 404, "Cache-Control: max-age=60")).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200)).For(0))
	// Output:
	// 1s
	// 1m0s
}

func ExampleClamp() {
	s := expiry.Clamp(expiry.Default(), 10*time.Second, time.Minute)
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=3600")).For(0))
	// Output: 1m0s
}

func ExamplePrecedence() {
	p := expiry.Precedence{IgnoreResponse: true, Default: expiry.After(time.Hour)}
	fmt.Println(p.Expiry(exchange("http://example.com/", 200, "Cache-Control: no-store")).For(0))
	// Output: 1h0m0s
}
