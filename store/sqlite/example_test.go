package sqlite_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/sqlite"
)

// A cache in a file is still there when the program starts again.
func ExampleOpen() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	for range 2 { // two runs of a program
		if err := fetch(filepath.Join(dir, "cache.db"), server.URL); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// miss: hello
	// hit: hello
}

// fetch is a program: it opens the file, asks for a URL, and ends.
func fetch(path, url string) error {
	file, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer file.Close() // after the cache
	c, err := cache.New(cache.Options{Store: file, StoreTimeout: time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(http.DefaultTransport)}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	status, _ := cache.StatusOf(resp)
	fmt.Printf("%s: %s\n", status.Outcome(), body)
	return nil
}
