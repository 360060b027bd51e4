package ply_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// Each of those who share an exchange has a record of its own: what went over the network is in that of the one who asked,
// also what comes when that one has left.
func TestTheRecordsOfThoseWhoShareAnExchange(t *testing.T) {
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
