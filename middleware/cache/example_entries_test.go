package cache_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

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

// A cache that is filled from a fixture, for a test: the origin is not asked.
func ExampleCache_Save() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	rt := c.Middleware(http.DefaultTransport)

	ctx := context.Background()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Save(ctx, r, &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Cache-Control": {"max-age=60"}},
		Body:       io.NopCloser(strings.NewReader("from a fixture")),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(ctx, rt)

	var not *cache.NotStoredError
	err = c.Save(ctx, r, &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Cache-Control": {"no-store"}}})
	if errors.As(err, &not) {
		fmt.Println(not.Reason, "by", not.Source)
	}
	// Output:
	// 200 hit
	// no-store by RFC 9111 §5.2.2.5
}

// What is stored, the largest first, of what is fresh.
func ExampleCache_Entries() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(echo("Accept"))}
	for _, url := range []string{"http://example.com/a", "http://example.com/much-longer"} {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Println(err)
			return
		}
		readAll(resp)
	}

	entries := slices.Collect(c.Entries(context.Background()))
	now := time.Now()
	entries = slices.DeleteFunc(entries, func(e *cache.Entry) bool { return !e.Fresh(now) })
	slices.SortFunc(entries, func(a, b *cache.Entry) int { return cmp.Compare(b.Size(), a.Size()) })
	for _, e := range entries {
		fmt.Println(e.Method(), e.URL())
	}
	// Output:
	// GET http://example.com/much-longer
	// GET http://example.com/a
}

// Why a response came as it did, with the sections that say so.
func ExampleStatus_Reasons() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: no-store"))}
	resp, err := client.Get("http://example.com/greeting")
	if err != nil {
		fmt.Println(err)
		return
	}
	readAll(resp)
	status, _ := cache.StatusOf(resp)
	for _, reason := range status.Reasons() {
		fmt.Println(reason.Source+":", reason.Text)
	}
	// Output:
	// RFC 9111 §4: Nothing was stored for the URI.
	// RFC 9111 §5.2.2.5: The response was not stored: no-store.
}
