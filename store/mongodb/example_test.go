package mongodb_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/mongodb"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// A stand-in for http.DefaultTransport.
var transport = handler(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// A MongoDB that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := mongodb.Open(context.Background(), "mongodb://127.0.0.1:1/app", mongodb.Options{MaxBytes: 4 << 30})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	c, err := cache.New(cache.Options{Store: shared})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(transport)}
	resp, err := client.Get("http://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// By URL, as a configuration may name it.
func ExampleOpen_url() {
	shared, err := store.OpenURL(context.Background(), "mongodb://127.0.0.1:1/app?collection=http&max_bytes=4GiB")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *mongodb.Store
}
