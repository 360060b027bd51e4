package nats_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/nats"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// A server that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := nats.Open("nats://127.0.0.1:1", nats.Options{Bucket: "shop"})
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

// Copies in each process are dropped as soon as another process changes the record.
func ExampleOpen_tiered() {
	shared, err := nats.Open("nats://127.0.0.1:4222", nats.Options{Memory: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	copies := cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20})
	c, err := cache.New(cache.Options{Store: cache.Tiered(copies, shared), L1TTL: 30 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
}

// A program may want to say at its start that its NATS is away. It can go on all the same.
func ExampleStore_Ping() {
	shared, err := nats.Open("nats://127.0.0.1:1", nats.Options{})
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
	shared, err := store.OpenURL(context.Background(), "nats://app:password@nats1:4222,nats2:4222?bucket=shop&max_bytes=4GiB&replicas=3")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *nats.Store
}
