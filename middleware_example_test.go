package ply_test

import (
	"fmt"
	"net/http"

	"github.com/plyhttp/ply"
)

// tell prints when a request enters a layer and when its response leaves it.
func tell(name string) ply.Middleware {
	return func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			fmt.Println(name, "before")
			defer fmt.Println(name, "after")
			return next.RoundTrip(req)
		})
	}
}

func ExampleChain() {
	server := hello()
	defer server.Close()
	hc := &http.Client{Transport: ply.Chain(tell("outer"), tell("inner"))(nil)}
	resp, err := hc.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// outer before
	// inner before
	// inner after
	// outer after
}

func ExampleLayers() {
	client, err := ply.New(ply.Options{
		UseCall: []ply.Middleware{ply.Named("request id", tell(""))},
		Use:     []ply.Middleware{ply.Named("auth", tell("")), ply.When(isSearch, ply.Named("slow log", tell("")))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, l := range ply.Layers(client) {
		fmt.Println(l)
	}
	// Output:
	// request id
	// redirects and cookies
	// auth
	// slow log?
	// *http.Transport
}

func isSearch(req *http.Request) bool { return req.URL.Path == "/search" }

func ExampleWhen() {
	server := hello()
	defer server.Close()
	hc := ply.Wrap(http.DefaultClient, ply.When(isSearch, tell("search")))
	for _, path := range []string{"/search", "/users"} {
		fmt.Println("GET", path)
		resp, err := hc.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	// Output:
	// GET /search
	// search before
	// search after
	// GET /users
}

func ExampleNamed() {
	auth := ply.Named("auth", ply.Chain(tell("token"), tell("signature")))
	for _, l := range ply.Layers(auth(&http.Transport{})) {
		fmt.Println(l.Name)
	}
	// Output:
	// auth
	// *http.Transport
}

func ExampleWrap() {
	server := hello()
	defer server.Close()
	hc := ply.Wrap(http.DefaultClient, tell("layer"))
	resp, err := hc.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// layer before
	// layer after
	// 200 OK
}
