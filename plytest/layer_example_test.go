package plytest_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/plytest"
)

// The layer of docs/layers.md.

// userAgent returns a layer that names the program to servers. A request that brings a User-Agent keeps it.
func userAgent(name string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &agent{name: name, next: next}
	}
}

type agent struct {
	name string
	next http.RoundTripper
}

func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, set := req.Header["User-Agent"]; set {
		return a.next.RoundTrip(req)
	}
	chosen, _ := req.Context().Value(agentKey{}).(string)
	r := *req // shallow: body and context are the same
	r.Header = req.Header.Clone()
	r.Header.Set("User-Agent", cmp.Or(chosen, a.name))
	return a.next.RoundTrip(&r)
}

func (a *agent) LayerName() string { return "user-agent" }

func (a *agent) Unwrap() http.RoundTripper { return a.next }

func (a *agent) CloseIdleConnections() {
	if c, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type agentKey struct{}

// WithUserAgent names the program differently for the requests made with the context.
func WithUserAgent(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, agentKey{}, name)
}

func TestUserAgentContract(t *testing.T) { plytest.CheckMiddleware(t, userAgent("demo/1.0")) }

func Example_layer() {
	origin := plytest.NewOrigin(plytest.Text("hello"))
	client := &http.Client{Transport: userAgent("demo/1.0")(origin)}

	for _, ctx := range []context.Context{
		context.Background(),
		WithUserAgent(context.Background(), "crawler/2"),
	} {
		req := get("http://example.test/").WithContext(ctx)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	for _, x := range origin.Exchanges() {
		fmt.Println(x.Header.Get("User-Agent"))
	}
	// Output:
	// demo/1.0
	// crawler/2
}

// slow returns a layer that reports answers which take longer than limit to begin.
func slow(limit time.Duration, report func(*http.Request, time.Duration)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &stopwatch{limit: limit, report: report, next: next}
	}
}

type stopwatch struct {
	limit  time.Duration
	report func(*http.Request, time.Duration)
	next   http.RoundTripper
}

func (s *stopwatch) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := s.next.RoundTrip(req)
	if took := time.Since(start); took > s.limit {
		s.report(req, took)
	}
	return resp, err
}

func (s *stopwatch) CloseIdleConnections() {
	if c, ok := s.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func TestSlowResponsesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Text("quick"), plytest.Reply{Wait: time.Minute})
		var reports []time.Duration
		client := &http.Client{Transport: slow(time.Second, func(_ *http.Request, took time.Duration) {
			reports = append(reports, took)
		})(origin)}
		for range 2 {
			resp, err := client.Get("http://example.test/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if len(reports) != 1 || reports[0] != time.Minute {
			t.Errorf("reported %v, want one answer of a minute, which took no time", reports)
		}
	})
}

func TestSlowContract(t *testing.T) {
	plytest.CheckMiddleware(t, slow(time.Second, func(*http.Request, time.Duration) {}))
}
