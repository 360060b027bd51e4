package ply_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The record of a call says what each layer did; fmt.Println(info) shows it as a waterfall.
func ExampleWithCallInfo() {
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/old": {plytest.Status(http.StatusFound, "Location", "/new")},
		"/new": {plytest.Status(http.StatusServiceUnavailable), plytest.Text("hello", "Cache-Control", "max-age=60")},
	}}
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client, err := ply.New(ply.Options{
		BaseURL:   "http://a.test",
		Transport: origin,
		Use:       []ply.Middleware{c.Middleware, retry.New(retry.Options{})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	resp, err := client.Get(ply.WithCallInfo(context.Background()), "/old")
	if err := ply.Discard(resp, err); err != nil {
		fmt.Println(err)
		return
	}
	info, _ := ply.CallInfoFrom(resp)
	for _, hop := range info.Hops {
		fmt.Println(hop.URL, hop.Status, hop.Received, "bytes, cache:", hop.Cache)
		for _, x := range hop.Exchanges {
			fmt.Println("  attempt", x.Attempt, x.Status)
		}
	}
	// Output:
	// http://a.test/old 302 0 bytes, cache: miss
	//   attempt 1 302
	// http://a.test/new 200 5 bytes, cache: miss
	//   attempt 1 503
	//   attempt 2 200
}

// A call that failed leaves no response: its record is that of the context that it was made with.
func ExampleCallInfoFromContext() {
	client := ply.Wrap(&http.Client{Transport: plytest.NewOrigin(plytest.Refuse())})
	ctx := ply.WithCallInfo(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/?token=secret", nil)
	if _, err := client.Do(req); err != nil {
		info, _ := ply.CallInfoFromContext(ctx)
		fmt.Println(info.Method, info.URL, "failed:", info.Err)
	}
	// Output: GET http://a.test/?token=REDACTED failed: dial tcp 192.0.2.1:80: connect: connection refused
}

// A layer of your own that looks at all calls, without a context from each caller.
func ExampleRecordCalls() {
	report := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if info, ok := ply.CallInfoFromContext(req.Context()); ok && err == nil {
				fmt.Println(info.Method, info.URL, resp.StatusCode, "requests:", info.Hops[0].Requests)
			}
			return resp, err
		})
	}
	client, err := ply.New(ply.Options{
		Transport: plytest.NewOrigin(plytest.Status(http.StatusServiceUnavailable), plytest.Text("hello")),
		Use:       []ply.Middleware{ply.RecordCalls, report, retry.New(retry.Options{Backoff: retry.Constant(0)})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ply.Discard(client.Get(context.Background(), "http://a.test/")); err != nil {
		fmt.Println(err)
	}
	// Output: GET http://a.test/ 200 requests: 2
}
