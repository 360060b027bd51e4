// Program replays a tape outside "go test", with arguments that are its own, and prints one line.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/plytest/tape"
)

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	week := traffic.Week(1, 200)
	var wg sync.WaitGroup
	reports := make([]*tape.Report, 3)
	errs := make([]error, len(reports))
	for i := range reports {
		wg.Go(func() { reports[i], errs[i] = tape.Replay(context.Background(), week, tape.ReplayOptions{}) })
	}
	wg.Wait()
	for i, r := range reports {
		if errs[i] != nil || r.String() != reports[0].String() || r.OriginRequests != 200 {
			return fmt.Errorf("replay %d: %v\n%s", i, errs[i], r)
		}
	}
	hangs := func(http.RoundTripper) (http.RoundTripper, error) { return hanging{}, nil }
	_, err := tape.Replay(context.Background(), week, tape.ReplayOptions{Chain: hangs})
	if err == nil {
		return fmt.Errorf("a chain that hangs is no error")
	}
	if r, err := tape.Replay(context.Background(), week, tape.ReplayOptions{}); err != nil || r.Requests != 200 {
		return fmt.Errorf("after a chain that hung: %v, %v", r, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tape.Replay(ended, week, tape.ReplayOptions{}); err == nil {
		return fmt.Errorf("a context that has ended is no error")
	}
	if flag.Parsed() || flag.Lookup("test.v") != nil {
		return fmt.Errorf("flags: parsed %v, of package testing: %v", flag.Parsed(), flag.Lookup("test.v"))
	}
	mine := flag.String("mine", "", "")
	flag.Parse()
	fmt.Println(*mine, flag.Args())
	return nil
}

type hanging struct{}

func (hanging) RoundTrip(*http.Request) (*http.Response, error) { select {} }
