package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The inspector stands first in the chain, and its page on a port of this machine. Programs serve it with
// http.ListenAndServe("127.0.0.1:7117", in).
func Example() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	in, err := inspect.New(inspect.Options{Keep: 1000, Cache: c})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	client, err := ply.New(ply.Options{
		Transport: plytest.NewOrigin(plytest.Text("hello")),
		Use:       []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ply.Text(client.Get(context.Background(), "http://a.test/greeting")))

	page := httptest.NewServer(in)
	defer page.Close()
	resp, err := http.Get(page.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	// Output:
	// hello <nil>
	// 200 OK text/html; charset=utf-8
}

// The page beside what a program serves anyway: below a prefix, behind the program's own authentication.
func ExampleInspector_ServeHTTP() {
	in, err := inspect.New(inspect.Options{AllowRemote: true, Hosts: []string{"dev.example"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	onlyOperators := func(h http.Handler) http.Handler { return h } // the program's own

	mux := http.NewServeMux()
	mux.Handle("/debug/calls/", onlyOperators(http.StripPrefix("/debug/calls", in)))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://dev.example/debug/calls/stats", nil))
	fmt.Println(w.Code, w.Header().Get("Cache-Control"))
	// Output: 200 no-store
}
