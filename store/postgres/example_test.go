package postgres_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
)

// A stand-in for http.DefaultTransport.
var transport = testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// A database that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := postgres.Open("postgres://app@127.0.0.1:1/app", postgres.Options{MaxBytes: 4 << 30})
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

// A fleet fetches each response once, and keeps copies in memory that go as soon as another process changes the record.
func ExampleOpen_fleet() {
	shared, err := postgres.Open("postgres://app@db.internal/app", postgres.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	l1 := cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20})
	c, err := cache.New(cache.Options{Store: cache.Tiered(l1, shared), L1TTL: 30 * time.Second, Lease: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	// client := &http.Client{Transport: c.Middleware(http.DefaultTransport)}
}

// A program that has a pool shares it with its cache.
func ExampleNew() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@db.internal/app")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	shared, err := postgres.New(pool, postgres.Options{Schema: "http_cache"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close() // leaves the pool open
}

// An administrator makes the table where the program itself may not.
func ExampleSQL() {
	sql, err := postgres.SQL(postgres.Options{Schema: "http_cache"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sql[:len(`CREATE SCHEMA IF NOT EXISTS "http_cache";`)])
	// Output: CREATE SCHEMA IF NOT EXISTS "http_cache";
}

// A program may want to say at its start that its database is away. It can go on all the same.
func ExampleStore_Ping() {
	shared, err := postgres.Open("postgres://app@127.0.0.1:1/app", postgres.Options{})
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
	shared, err := store.OpenURL(context.Background(), "postgres://app@db.internal/app?schema=http_cache&max_bytes=4GiB&logged=true")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	fmt.Printf("%T\n", shared)
	// Output: *postgres.Store
}
