package dynamodb_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// A stand-in for http.DefaultTransport.
var transport = handler(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// A table that does not answer costs no request its answer.
func ExampleOpen() {
	shared, err := dynamodb.Open(context.Background(), "http-cache", dynamodb.Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1"})
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
	client := &http.Client{Transport: c.Middleware(transport)}
	resp, err := client.Get("http://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// By URL, as a configuration may name it.
func ExampleOpen_url() {
	shared, err := store.OpenURL(context.Background(), "dynamodb://http-cache?region=eu-west-1&namespace=shop&ttl=72h")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *dynamodb.Store
}

// A deployment creates the table, with billing by request and a TTL.
func ExampleStore_CreateTable() {
	ctx := context.Background()
	shared, err := dynamodb.Open(ctx, "http-cache", dynamodb.Options{Region: "eu-west-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	if err := shared.CreateTable(ctx); err != nil {
		fmt.Println(err)
		return
	}
}

// A fleet fetches each response once, and each process keeps copies of what it asks for most.
func ExampleOpen_fleet() {
	shared, err := dynamodb.Open(context.Background(), "http-cache", dynamodb.Options{Region: "eu-west-1", EventuallyConsistent: true})
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
