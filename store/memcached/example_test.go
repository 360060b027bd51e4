package memcached_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/memcached"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// Servers that are not there cost no request its answer.
func ExampleOpen() {
	shared, err := memcached.Open("memcached://127.0.0.1:1,127.0.0.1:2", memcached.Options{Namespace: "shop"})
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
	origin := handler(func(r *http.Request) (*http.Response, error) { // a stand-in for http.DefaultTransport
		return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
	})
	client := &http.Client{Transport: c.Middleware(origin)}
	resp, err := client.Get("http://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// A list of servers from elsewhere, here with IPv6 addresses.
func ExampleNew() {
	shared, err := memcached.New([]string{"[fd00::1]:11211", "[fd00::2]:11211", "[fd00::1]:11211"}, memcached.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	// Output: memcached: servers: name "[fd00::1]:11211" twice
}

// A program may want to say at its start that its memcached is away. It can go on all the same.
func ExampleStore_Ping() {
	shared, err := memcached.Open("memcached://127.0.0.1:1", memcached.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := shared.Ping(ctx); err != nil {
		fmt.Println("without a cache for the moment")
	}
	// Output: without a cache for the moment
}

// By URL, as a configuration may name it.
func ExampleOpen_url() {
	shared, err := store.OpenURL(context.Background(), "memcached://cache1:11211,cache2:11211?namespace=shop&max_item_bytes=4MiB")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *memcached.Store
}

// A fleet fetches each response once, and each process keeps copies of what it asks for most.
func ExampleOpen_fleet() {
	shared, err := memcached.Open("memcached://cache1:11211,cache2:11211", memcached.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	copies := cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20})
	c, err := cache.New(cache.Options{Store: cache.Tiered(copies, shared), Lease: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	// client := &http.Client{Transport: c.Middleware(http.DefaultTransport)}
}
