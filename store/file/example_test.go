package file_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
)

// A cache whose responses are still there when the program is started again.
func Example() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "the answer")
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	program := func() error { // as it is run twice
		files, err := file.Open(filepath.Join(dir, "http"), file.Options{})
		if err != nil {
			return err
		}
		defer files.Close()
		c, err := cache.New(cache.Options{Store: files, StoreTimeout: time.Second})
		if err != nil {
			return err
		}
		defer c.Close()
		client, err := ply.New(ply.Options{Use: []ply.Middleware{c.Middleware}})
		if err != nil {
			return err
		}
		resp, err := client.Get(context.Background(), server.URL)
		text, err := ply.Text(resp, err)
		if err != nil {
			return err
		}
		status, _ := cache.StatusOf(resp)
		fmt.Printf("%s, a hit: %t\n", text, status.Hit)
		return nil
	}
	for range 2 {
		if err := program(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("requests that the server saw:", requests)
	// Output:
	// the answer, a hit: false
	// the answer, a hit: true
	// requests that the server saw: 1
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := file.Open(filepath.Join(dir, "http"), file.Options{MaxBytes: 100 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	ctx := context.Background()
	if err := s.Put(ctx, "k", store.Record{Data: []byte("first")}); err != nil {
		log.Fatal(err)
	}
	r, err := s.Get(ctx, "k")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", r.Data)
	fmt.Println(s.Put(ctx, "k", store.Record{Data: []byte("second"), Version: "another"}))
	fmt.Println(s.Put(ctx, "k", store.Record{Data: []byte("second"), Version: r.Version}))
	// Output:
	// first
	// store: the record has been changed meanwhile
	// <nil>
}

// A store for one run of a program, in a directory that Close removes.
func ExampleOpenTemp() {
	s, err := file.OpenTemp(file.Options{MaxBytes: 100 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	c, err := cache.New(cache.Options{Store: s})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Enabled())
	// Output: true
}

// The store of a program that a user runs again and again.
func ExampleUserCacheDir() {
	dir, err := file.UserCacheDir("mytool/http")
	if err != nil {
		log.Fatal(err)
	}
	s, err := file.Open(dir, file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
}

// By URL, as a configuration may name it. A misspelled option is an error.
func ExampleOpen_url() {
	_, err := store.OpenURL(context.Background(), "file:///var/cache/app?max_bites=512MiB")
	fmt.Println(err)
	// Output: file: the URL has options that are not known: "max_bites"; known are max_bytes, sync
}

// How full a store is.
func ExampleStore_Size() {
	s, err := file.OpenTemp(file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	if err := s.Put(ctx, "k", store.Record{Data: []byte("one byte or 4,000: a file takes a block")}); err != nil {
		log.Fatal(err)
	}
	records, bytes, err := s.Size(ctx)
	fmt.Println(records, bytes, err)
	// Output: 1 4096 <nil>
}

// Expired records are never returned, and go by themselves. A program can have them go now.
func ExampleStore_DeleteExpired() {
	s, err := file.OpenTemp(file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	ctx, soon := context.Background(), time.Now().Add(time.Hour)
	for key, expires := range map[string]time.Time{"a": soon, "b": soon.Add(time.Hour), "c": {}} { // c never expires
		if err := s.Put(ctx, key, store.Record{Data: []byte("…"), Expires: expires}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(s.DeleteExpired(ctx, soon.Add(time.Minute)))
	// Output: 1 <nil>
}

// A directory that others may write to is refused, and so is one that holds other things.
func ExampleOpen_refused() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		log.Fatal(err)
	}
	_, err = file.Open(dir, file.Options{})
	fmt.Println(strings.ReplaceAll(err.Error(), dir, "DIR"))
	// Output: file: open DIR: it holds other things, such as "notes.txt": use an empty directory
}

// Everything is encrypted on the disk.
func ExampleOpen_encrypted() {
	files, err := file.OpenTemp(file.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()
	key, err := store.ParseEncryptionKey(strings.Repeat("4b", 32)) // os.Getenv("CACHE_KEY")
	if err != nil {
		log.Fatal(err)
	}
	private, err := store.Encrypted(files, key)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(cache.Options{Store: private})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
}
