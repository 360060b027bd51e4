package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache"
)

// What is stored, read without asking the origin and without counting as a use.
func ExampleEntry_Open() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	resp, err := client.Get("http://example.com/greeting")
	if err != nil {
		fmt.Println(err)
		return
	}
	readAll(resp)

	ctx := context.Background()
	for e := range c.Entries(ctx) {
		stored, err := e.Open(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(stored.Body)
		stored.Body.Close()
		fmt.Println(e.Method(), e.URL(), stored.StatusCode, string(body), err)
	}
	// Output:
	// GET http://example.com/greeting 200 hello <nil>
}

// The entry that a request is answered from, found again by its key.
func ExampleCache_Get() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: max-age=60"))
	ctx := context.Background()
	show(ctx, rt)

	r, err := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := c.Entry(ctx, r)
	if err != nil {
		fmt.Println(err)
		return
	}
	entries, err := c.Get(ctx, e.Key())
	fmt.Println(len(entries), err)
	n, err := c.DeleteKey(ctx, e.Key())
	fmt.Println(n, err)
	_, err = c.Entry(ctx, r)
	fmt.Println(err)
	// Output:
	// 200 miss
	// 1 <nil>
	// 1 <nil>
	// cache: no stored response could answer the request
}
