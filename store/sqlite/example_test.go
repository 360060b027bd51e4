package sqlite_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
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

// By URL, as a configuration may name it.
func ExampleOpen_url() {
	_, err := store.OpenURL(context.Background(), "sqlite:cache.db?sync=sometimes")
	fmt.Println(err)
	// Output: sqlite: sync in the URL must be normal, off or full
}

// A file that turns out to be damaged is emptied, and the program is told.
func ExampleOptions_onReset() {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "cache.db")
	file, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	file.Close()
	if err := os.Truncate(path, 4096); err != nil { // what a failing disk may do
		fmt.Println(err)
		return
	}

	file, err = sqlite.Open(path, sqlite.Options{OnReset: func(error) { fmt.Println("emptied") }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fmt.Println(file.Put(context.Background(), "k", store.Record{Data: []byte("works again")}))
	// Output:
	// emptied
	// <nil>
}

// What is in the file, by kind, and how full it is.
func ExampleStore_Range() {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file, err := sqlite.Open(filepath.Join(dir, "cache.db"), sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	ctx := context.Background()
	for _, key := range []string{"a", "b"} {
		if err := file.Put(ctx, key, store.Record{Data: []byte("…"), Kind: store.KindEntry}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := file.Range(ctx, store.KindEntry, func(key string, r store.Record) bool {
		fmt.Println(key, len(r.Data), "bytes")
		return true
	}); err != nil {
		fmt.Println(err)
	}
	records, _, err := file.Size(ctx)
	fmt.Println(records, "records", err)
	// Output:
	// a 3 bytes
	// b 3 bytes
	// 2 records <nil>
}

// Everything in the file is encrypted.
func ExampleOpen_encrypted() {
	file, err := sqlite.Open("/var/cache/app/cache.db", sqlite.Options{Sync: sqlite.SyncOff})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	key, err := store.ParseEncryptionKey(os.Getenv("CACHE_KEY"))
	if err != nil {
		fmt.Println(err)
		return
	}
	private, err := store.Encrypted(file, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := cache.New(cache.Options{Store: private})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
}
