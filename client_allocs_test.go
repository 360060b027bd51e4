package ply_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
)

// fetchers are the ways to send the same GET: net/http's, and those of a client of ours.
func fetchers(tb testing.TB) map[string]func(context.Context) (*http.Response, error) {
	header := http.Header{"Content-Type": {"text/plain"}}
	origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: header, ContentLength: 2, Body: io.NopCloser(strings.NewReader("ok")), Request: req,
		}, nil
	})
	const url = "https://example.com/users?page=1"
	plain := &http.Client{Transport: origin}
	client, err := ply.New(ply.Options{Transport: origin})
	if err != nil {
		tb.Fatal(err)
	}
	by := func(do func(*http.Request) (*http.Response, error)) func(context.Context) (*http.Response, error) {
		return func(ctx context.Context) (*http.Response, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return nil, err
			}
			return do(req)
		}
	}
	get := func(ctx context.Context) (*http.Response, error) { return client.Get(ctx, url) }
	return map[string]func(context.Context) (*http.Response, error){
		"http.Client": by(plain.Do),
		"Do":          by(client.Do),
		"Get":         get,
		"Get, recorded": func(ctx context.Context) (*http.Response, error) {
			return get(ply.WithCallInfo(ctx))
		},
	}
}

func fetchBy(tb testing.TB, ctx context.Context, do func(context.Context) (*http.Response, error)) {
	resp, err := do(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func TestACallAllocatesLittleMoreThanThatOfHTTPClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fetchers := fetchers(t)
	allocations := func(name string) float64 {
		return testing.AllocsPerRun(200, func() { fetchBy(t, ctx, fetchers[name]) })
	}
	bare := allocations("http.Client")
	// Get makes 2 more and a recorded one 24; the race detector keeps functions from being inlined, which costs Get one more.
	for name, more := range map[string]float64{"Do": 0, "Get": 3, "Get, recorded": 25} {
		if got := allocations(name) - bare; got > more {
			t.Errorf("%s: %v allocations more than http.Client, want %v at most", name, got, more)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for name, do := range fetchers(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fetchBy(b, ctx, do)
			}
		})
	}
}
