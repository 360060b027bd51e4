package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// A stand-in for http.DefaultTransport.
var transport = handler(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// A Redis that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := redis.Open("redis://127.0.0.1:1", redis.Options{Namespace: "shop"})
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

// The driver's complaints go where the program's own records go. Without a Logger the driver is silent.
func ExampleOptions_logger() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("component", "redis")
	shared, err := redis.Open("redis://127.0.0.1:6379", redis.Options{Logger: logger})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
}

// A copy in L1 is dropped as soon as another process changes the record.
func ExampleOpen_near() {
	shared, err := redis.Open("redis://127.0.0.1:6379", redis.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	l1 := cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20})
	c, err := cache.New(cache.Options{Store: cache.Tiered(l1, shared), L1TTL: 30 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	// client := &http.Client{Transport: c.Middleware(http.DefaultTransport)}
}

func ExampleNew() {
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:7000"}, ReadOnly: true})
	defer client.Close()
	_, err := redis.New(client, redis.Options{})
	fmt.Println(err)
	// Output: redis: the client reads from replicas, which may not have yet what has been written; use one without ReadOnly, RouteByLatency and RouteRandomly
}

// A program may want to say at its start that its Redis is away. It can go on all the same.
func ExampleStore_Ping() {
	shared, err := redis.Open("redis://127.0.0.1:1", redis.Options{})
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
	shared, err := store.OpenURL(context.Background(), "redis+cluster://10.0.0.1:6379?addr=10.0.0.2:6379&namespace=shop&ttl=72h")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *redis.Store
}

// A fleet fetches each response once, and each process keeps copies of what it asks for most.
func ExampleOpen_fleet() {
	shared, err := redis.Open("rediss://app:password@cache.internal:6379", redis.Options{Namespace: "shop"})
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
