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
