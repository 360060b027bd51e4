package cache_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache"
)

func ExampleNew() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for range 2 {
		resp, err := client.Get("http://example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(status.Outcome())
	}
	// Output:
	// miss
	// hit
}

func ExampleNewMemory() {
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 20})})
	fmt.Println(c.Stats().Bytes, err)
	// Output: 0 <nil>
}
