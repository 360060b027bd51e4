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
