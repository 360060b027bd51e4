package mongodb_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/mongodb"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// A stand-in for http.DefaultTransport.
var transport = handler(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// A MongoDB that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := mongodb.Open(context.Background(), "mongodb://127.0.0.1:1/app", mongodb.Options{MaxBytes: 4 << 30})
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
	shared, err := store.OpenURL(context.Background(), "mongodb://127.0.0.1:1/app?collection=http&max_bytes=4GiB")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *mongodb.Store
}

// A fleet fetches each response once, and each process keeps copies of what it asks for most.
func ExampleOpen_fleet() {
	shared, err := mongodb.Open(context.Background(), "mongodb://db.internal/app?replicaSet=rs0", mongodb.Options{})
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

// A program may want to say at its start that its MongoDB is away. It can go on all the same.
func ExampleStore_Ping() {
	shared, err := mongodb.Open(context.Background(), "mongodb://127.0.0.1:1/app", mongodb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := shared.Ping(ctx); err != nil {
		fmt.Println("without a cache for the moment")
	}
	// Output: without a cache for the moment
}

// A program that has a client shares it with its cache.
func ExampleNew() {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Disconnect(context.Background())
	shared, err := mongodb.New(client.Database("app").Collection("http_cache"), mongodb.Options{MaxBytes: 4 << 30})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(shared.Close()) // leaves the client open
	// Output: <nil>
}
