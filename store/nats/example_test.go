package nats_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
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
