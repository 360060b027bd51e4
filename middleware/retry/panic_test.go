package retry_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
)

// recovered runs f and returns what it panics with.
func recovered(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// brittle is a budget that panics in one of its methods.
type brittle struct {
	*retry.TokenBucket
	in string
}

func (b brittle) Call(string) { b.check("Call") }

func (b brittle) Allow(key string, last retry.Outcome) (func(), bool) {
	b.check("Allow")
	refund, ok := b.TokenBucket.Allow(key, last)
	return func() { refund(); b.check("refund") }, ok
}

func (b brittle) check(method string) {
	if b.in == method {
		panic("the hook")
	}
}

// A hook that panics, or the next layer, ends its call alone: whatever the call held is closed once, and what it had paid for is given back.
func TestPanicLeavesNothingBehind(t *testing.T) {
	hook := func() { panic("the hook") }
	brittleIn := func(method string) retry.Options {
		return retry.Options{Budget: brittle{&retry.TokenBucket{}, method}}
	}
	type closed struct{ First, Second, Response int } // how often the bodies of the two attempts, and of the first response, were closed
	for name, tt := range map[string]struct {
		o    retry.Options
		want closed
	}{
		"Key":            {retry.Options{Key: func(*http.Request) string { hook(); return "" }}, closed{1, 0, 0}},
		"IdempotencyKey": {retry.Options{IdempotencyKey: func(*http.Request) string { hook(); return "" }}, closed{1, 0, 0}},
		"Budget.Call":    {brittleIn("Call"), closed{1, 0, 0}},
		"Budget.Allow":   {brittleIn("Allow"), closed{1, 0, 1}},
		"refund":         {brittleIn("refund"), closed{1, 1, 1}},
		"Rules":          {retry.Options{Rules: []retry.Rule{func(*retry.Attempt) retry.Verdict { hook(); return retry.Final }}}, closed{1, 0, 1}},
		"Backoff":        {retry.Options{Backoff: func(int, retry.Outcome) time.Duration { hook(); return 0 }}, closed{1, 0, 1}},
		"OnRetry":        {retry.Options{OnRetry: func(context.Context, retry.Event) { hook() }}, closed{1, 1, 1}},
		"OnGiveUp":       {retry.Options{MaxAttempts: 1, OnGiveUp: func(context.Context, retry.Event) { hook() }}, closed{1, 0, 1}},
		"Prepare":        {retry.Options{Prepare: func(*http.Request) error { hook(); return nil }}, closed{1, 1, 1}},
		"GetBody":        {retry.Options{}, closed{1, 0, 1}},
		"the next layer": {retry.Options{}, closed{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bucket := &retry.TokenBucket{}
				if tt.o.Budget == nil {
					tt.o.Budget = bucket
				}
				tt.o.AttemptTimeout = time.Hour
				first, second, answer := &closes{Reader: strings.NewReader("p")}, &closes{Reader: strings.NewReader("p")}, &closes{Reader: strings.NewReader("busy")}
				var last context.Context
				sent := 0
				next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					r.Body.Close()
					last = r.Context()
					switch sent++; {
					case sent == 1:
						return &http.Response{StatusCode: 503, Header: http.Header{}, Body: answer, Request: r}, nil
					case name == "the next layer":
						hook()
					}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
				})
				req := newRequest(t, http.MethodPut)
				req.Body = first
				req.GetBody = func() (io.ReadCloser, error) {
					if name == "GetBody" {
						hook()
					}
					return second, nil
				}
				if p := recovered(func() { retry.New(tt.o)(next).RoundTrip(req) }); p != "the hook" {
					t.Errorf("recovered %v", p)
				}
				if diff := cmp.Diff(tt.want, closed{first.n, second.n, answer.n}); diff != "" {
					t.Errorf("closed (-want +got)\n%s", diff)
				}
				if last != nil && last.Err() == nil {
					t.Error("the context of the attempt goes on")
				}
				want := 100
				if name == "the next layer" { // it may have sent the retry
					want -= 5
				}
				if n := bucket.Tokens("example.com"); n != want {
					t.Errorf("%d tokens are left, want %d", n, want)
				}
			})
		})
	}
}

// A reader that goes on after a hook has panicked gets the error that broke the download, not an end.
func TestPanicWhileADownloadResumes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		bucket := &retry.TokenBucket{}
		o := retry.Options{Resume: 1, Budget: bucket, OnRetry: func(context.Context, retry.Event) { panic("the hook") }}
		next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			h := http.Header{"Etag": {`"1"`}, "Accept-Ranges": {"bytes"}}
			content := io.MultiReader(strings.NewReader("part"), readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))
			return &http.Response{StatusCode: 200, Header: h, ContentLength: -1, Body: io.NopCloser(content), Request: r}, nil
		})
		resp, err := do(t, o, next, newRequest(t, http.MethodGet))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if p := recovered(func() { io.ReadAll(resp.Body) }); p != "the hook" {
			t.Errorf("recovered %v", p)
		}
		if _, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || bucket.Tokens("example.com") != 100 {
			t.Errorf("then %v, %d tokens", err, bucket.Tokens("example.com"))
		}
	})
}
