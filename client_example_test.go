package ply_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

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

func hello() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"name": "Ada", "path": %q}`, r.URL.Path)
	}))
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

func ExampleNew() {
	server := hello()
	defer server.Close()

	client, err := ply.New(ply.Options{
		BaseURL:  server.URL + "/v1",
		Header:   http.Header{"Accept": {"application/json"}},
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use:      []ply.Middleware{tell("layer")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	type user struct{ Name, Path string }
	u, err := ply.JSON[user](client.Get(context.Background(), "/users/7"))
	fmt.Println(u.Name, u.Path, err)
	// Output:
	// layer before
	// layer after
	// Ada /v1/users/7 <nil>
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

func ExampleClient_With() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "role %q", r.Header.Get("X-Role"))
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	admin, err := client.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ply.Text(client.Get(context.Background(), "/")))
	fmt.Println(ply.Text(admin.Get(context.Background(), "/")))
	// Output:
	// role "" <nil>
	// role "admin" <nil>
}

func ExampleClient_HTTPClient() {
	server := hello()
	defer server.Close()
	client, err := ply.New(ply.Options{Use: []ply.Middleware{tell("layer")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	// sdk stands for a library that wants an *http.Client.
	sdk := func(hc *http.Client) (*http.Response, error) { return hc.Get(server.URL) }
	resp, err := sdk(client.HTTPClient())
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// layer before
	// layer after
}

// A redirect to a storage host takes along what is known to be harmless, and the fields that the client names.
func ExampleOptions_crossOrigin() {
	storage := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Printf("%q %q %q\n", r.Header.Get("Accept"), r.Header.Get("X-Request-Class"), r.Header.Get("X-Api-Key"))
	}))
	defer storage.Close()
	api := httptest.NewServer(http.RedirectHandler(storage.URL, http.StatusFound))
	defer api.Close()
	client, err := ply.New(ply.Options{
		BaseURL:     api.URL,
		Header:      http.Header{"Accept": {"text/csv"}, "X-Request-Class": {"batch"}, "X-Api-Key": {"hunter2"}},
		CrossOrigin: []string{"X-Request-Class"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ply.Discard(client.Get(context.Background(), "/report")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// "text/csv" "batch" ""
}
