package ply_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// answering makes a response.
func answering(r *http.Request, status int, body, name, value string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{name: {value}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// cachedOver makes a client with a cache and retry before a transport.
func cachedOver(t *testing.T, transport ply.HandlerFunc) *ply.Client {
	t.Helper()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	client, err := ply.New(ply.Options{Transport: transport, Use: []ply.Middleware{c.Middleware, retry.New(retry.Options{})}})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// Of collapsed calls, only the leader's record has the exchange and what the layers below did.
func TestCollapsedExchangeIsRecordedWithItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		client := cachedOver(t, func(r *http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			if asked.Add(1) == 1 {
				return answering(r, 503, "", "X-Why", "down"), nil
			}
			return answering(r, 200, "hello", "Cache-Control", "max-age=60"), nil
		})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				ctx := ply.WithCallInfo(t.Context())
				resp, err := client.Get(ctx, "http://h/")
				require.NoError(t, err)
				_, err = ply.Text(resp, nil)
				require.NoError(t, err)
				info, ok := ply.CallInfoFrom(resp)
				require.True(t, ok)
				require.Len(t, info.Hops, 1)
				want := 0
				if i == 0 {
					want = 2 // the 503, and what came after it
				}
				if n := len(info.Hops[0].Exchanges); n != want {
					t.Errorf("caller %d: %d exchanges in its record, want %d\n%s", i, n, want, info)
				}
			})
		}
		wg.Wait()
	})
}

// A retry layer below a cache knows the deadline of the call: it gives up at once when the server asks for a longer wait.
func TestDeadlineReachesLayersBelowTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := cachedOver(t, func(r *http.Request) (*http.Response, error) {
			return answering(r, 503, "", "Retry-After", "30"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		resp, err := client.Get(ctx, "http://h/")
		var status *ply.StatusError
		if resp != nil {
			resp.Body.Close()
		}
		if took := time.Since(start); took > time.Second || err != nil && !errors.As(err, &status) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Collapsed calls have records of their own. The leader's record has the exchange, including what happens after the leader was canceled.
func TestRecordsOfCollapsedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		origin := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			if n++; n < 3 {
				return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"1"}}, Body: http.NoBody, Request: r}, nil
			}
			return &http.Response{
				StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Cache-Control": {"max-age=60"}},
				Body: io.NopCloser(strings.NewReader("text")), ContentLength: 4, Request: r,
			}, nil
		})
		c, err := cache.New(cache.Options{})
		require.NoError(t, err)
		client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{c.Middleware, retry.New(retry.Options{MaxAttempts: 5})}})
		require.NoError(t, err)
		defer client.Close()
		leaves, cancel := context.WithCancel(ply.WithCallInfo(t.Context()))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := client.Get(leaves, "http://example.com/")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: %v", err)
			}
			for range 100 { // the exchange goes on
				time.Sleep(50 * time.Millisecond)
				info, ok := ply.CallInfoFromContext(leaves)
				_ = info.String()
				if !ok || info.Open {
					t.Errorf("the one who left: %v", info)
				}
			}
		})
		time.Sleep(10 * time.Millisecond)
		for range 2 {
			wg.Go(func() {
				resp, err := client.Get(ply.WithCallInfo(t.Context()), "http://example.com/")
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := ply.Text(resp, nil)
				info, _ := ply.CallInfoFrom(resp)
				if text != "text" || len(info.Hops) != 1 || len(info.Hops[0].Exchanges) != 0 || info.Hops[0].CacheReason != "uri-miss, collapsed" || info.Open || info.Hops[0].Received != 4 {
					t.Errorf("%q, %v", text, info)
				}
			})
		}
		time.Sleep(40 * time.Millisecond)
		cancel()
		wg.Wait()
		if n != 3 {
			t.Errorf("%d requests", n)
		}
	})
}
