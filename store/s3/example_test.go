//go:build unix

package s3_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
)

// A stand-in for http.DefaultTransport.
var transport = testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: http.NoBody, Request: r}, nil
})

// Copies in memory before the bucket spare most of its requests. A server that is not there costs no request its answer.
func ExampleOpen() {
	shared, err := s3.Open("s3://my-bucket/http-cache?endpoint=http://127.0.0.1:1&path_style=true", s3.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	l1 := cache.NewMemory(cache.MemoryOptions{MaxBytes: 64 << 20})
	c, err := cache.New(cache.Options{Store: cache.Tiered(l1, shared), StoreTimeout: time.Second})
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

// A deployment finds out whether its server will do, once.
func ExampleStore_Ping() {
	shared, err := store.OpenURL(context.Background(), "s3://my-bucket?endpoint=http://127.0.0.1:1&path_style=true")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := shared.(*s3.Store).Ping(ctx); err != nil {
		fmt.Println("the bucket cannot be used")
	}
	// Output: the bucket cannot be used
}

// A program that has the SDK's configuration already makes the client itself.
func ExampleNew() {
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("eu-central-1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	shared, err := s3.New(awss3.NewFromConfig(cfg), "my-bucket", s3.Options{Prefix: "http-cache"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
}

// What is in the bucket is encrypted. For encryption by the server there is Options.KMSKey.
func ExampleOpen_encrypted() {
	shared, err := s3.Open("s3://my-bucket/http-cache?region=eu-central-1", s3.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	key, err := store.ParseEncryptionKey(os.Getenv("CACHE_KEY"))
	if err != nil {
		fmt.Println(err)
		return
	}
	private, err := store.Encrypted(shared, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := cache.New(cache.Options{Store: private, StoreTimeout: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
}
