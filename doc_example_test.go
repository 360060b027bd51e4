package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// A client with a cache above retries: the first request fails once and is sent again, the second is answered from the cache.
func Example() {
	attempts := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, `{"name": "Ada"}`)
	}))
	defer server.Close()

	responses, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer responses.Close()
	client, err := ply.New(ply.Options{
		BaseURL: server.URL,
		Use:     []ply.Middleware{responses.Middleware, retry.New(retry.Options{Backoff: retry.Constant(time.Millisecond)})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	type user struct{ Name string }
	for range 2 {
		u, err := ply.JSON[user](client.Get(context.Background(), "/users/7"))
		fmt.Println(u.Name, err)
	}
	fmt.Println(attempts, "attempts")
	// Output:
	// Ada <nil>
	// Ada <nil>
	// 2 attempts
}

// A layer of one's own: it copies the request before it changes it.
func ExampleMiddleware() {
	var userAgent ply.Middleware = func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("User-Agent", "demo/1.0")
			return next.RoundTrip(req)
		})
	}

	origin := plytest.NewOrigin()
	client, err := ply.New(ply.Options{Use: []ply.Middleware{userAgent}, Transport: origin})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = ply.Discard(client.Get(context.Background(), "https://api.example.com/"))
	fmt.Println(origin.Exchanges()[0].Header.Get("User-Agent"), err)
	// Output: demo/1.0 <nil>
}

// New refuses an order that cannot work, and says what to do.
func ExampleNew_order() {
	responses, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer responses.Close()
	_, err = ply.New(ply.Options{Use: []ply.Middleware{retry.New(retry.Options{}), responses.Middleware}})
	var refused *ply.OptionError
	fmt.Println(errors.As(err, &refused), refused.Option)
	fmt.Println(err)
	// Output:
	// true Use
	// ply: Use: contains a cache inside retry: hits would wait for attempts, and failed attempts could be stored; list cache before retry
}

// A download goes on where an earlier one broke off.
func ExampleClient_Download_continued() {
	const content = "0123456789"
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		if calls++; calls == 1 {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, content[:6])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // the connection breaks
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	dir, err := os.MkdirTemp("", "ply")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "image.iso")

	_, err = client.Download(context.Background(), path, "/image.iso")
	fmt.Println("first:", errors.Is(err, io.ErrUnexpectedEOF))
	got, err := client.Download(context.Background(), path, "/image.iso")
	fmt.Println("then:", got.Bytes, "bytes,", got.Resumed, "of them from the first,", err)
	// Output:
	// first: true
	// then: 10 bytes, 6 of them from the first, <nil>
}

func ExampleTimeoutError() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL, Timeouts: ply.Timeouts{ResponseHeader: 20 * time.Millisecond}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = client.Get(context.Background(), "/slow")
	var timeout *ply.TimeoutError
	if errors.As(err, &timeout) {
		fmt.Println("waited for:", timeout.Phase)
	}
	// Output: waited for: response header
}
