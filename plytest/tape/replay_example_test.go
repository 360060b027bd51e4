package tape_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest/tape"
)

func ExampleCompare() {
	t := traffic.Week(1, 10_000) // or tape.FromHAR

	cached := func(origin http.RoundTripper) (http.RoundTripper, error) {
		c, err := cache.New(cache.Options{}) // in here, so that its clock is that of the tape
		if err != nil {
			return nil, err
		}
		return struct {
			http.RoundTripper
			io.Closer
		}{c.Middleware(origin), c}, nil
	}
	reports, err := tape.Compare(context.Background(), t,
		tape.ReplayOptions{Name: "no cache"},
		tape.ReplayOptions{Name: "cache", Chain: cached},
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range reports {
		fmt.Printf("%s: %d of %d requests reached the origin, %d answers were out of date\n", r.Name, r.OriginRequests, r.Requests, r.OutOfDate)
	}
	// Output:
	// no cache: 10000 of 10000 requests reached the origin, 0 answers were out of date
	// cache: 6635 of 10000 requests reached the origin, 144 answers were out of date
}

func ExampleReplay() {
	replay := func() error {
		f, err := os.Open("week.har")
		if err != nil {
			return err
		}
		defer f.Close()
		t, err := tape.FromHAR(f)
		if err != nil {
			return err
		}
		report, err := tape.Replay(context.Background(), t, tape.ReplayOptions{Name: "cache", Chain: func(origin http.RoundTripper) (http.RoundTripper, error) {
			c, err := cache.New(cache.Options{})
			if err != nil {
				return nil, err
			}
			return struct {
				http.RoundTripper
				io.Closer
			}{c.Middleware(origin), c}, nil
		}})
		if err != nil {
			return err
		}
		fmt.Print(report)
		return nil
	}
	if err := replay(); err != nil {
		fmt.Println(err)
	}
	// Output: open week.har: no such file or directory
}
