package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/limit"
)

// Two requests per second and no more. One that cannot have its turn before its deadline is told so at once.
func ExampleNew() {
	limiter, err := limit.New(limit.Options{Rate: 2, Burst: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limiter.Middleware(plytest.NewOrigin(plytest.Text("ok")))}
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
		resp, err := client.Do(req)
		if refused := (*limit.Error)(nil); errors.As(err, &refused) {
			fmt.Println(refused)
		} else if err == nil {
			fmt.Println(resp.Status)
			resp.Body.Close()
		}
		cancel()
	}
	// Output:
	// 200 OK
	// 200 OK
	// limit: no room for example.com: no time left
}

// A slot is held until the body is closed: the third request finds none.
func ExampleLimiter_StatsFor() {
	limiter, err := limit.New(limit.Options{InFlight: 2, Queue: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limiter.Middleware(plytest.NewOrigin(plytest.Text("a large download")))}
	for range 3 {
		resp, err := client.Get("http://example.com/")
		if err != nil {
			fmt.Println("refused")
			continue
		}
		defer resp.Body.Close()
	}
	s, _ := limiter.StatsFor("example.com")
	fmt.Printf("%d of %d under way\n", s.InFlight, s.Limit)
	// Output:
	// refused
	// 2 of 2 under way
}

// How many requests the server bears is found out by how it answers.
func ExampleAdaptive() {
	limiter, err := limit.New(limit.Options{InFlight: 100, Adaptive: &limit.Adaptive{Initial: 10}})
	if err != nil {
		fmt.Println(err)
		return
	}
	overloaded := plytest.NewOrigin(plytest.Status(http.StatusTooManyRequests))
	client := &http.Client{Transport: limiter.Middleware(overloaded)}
	resp, err := client.Get("http://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	s, _ := limiter.StatsFor("example.com")
	fmt.Println("10 before the 429,", s.Limit, "after it")
	// Output: 10 before the 429, 7 after it
}

// An error of a limit says what a program may do about it.
func ExampleError() {
	limiter, err := limit.New(limit.Options{InFlight: 1, Queue: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limiter.Middleware(plytest.NewOrigin(plytest.Text("a large download")))}
	first, err := client.Get("http://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Body.Close() // only then the slot is free

	_, err = client.Get("http://example.com/")
	var refused *limit.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Key, refused.Reason, "unsent:", refused.Unsent())
	}
	// Output: example.com queue full unsent: true
}
