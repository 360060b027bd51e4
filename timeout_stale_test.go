package ply_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/stretchr/testify/require"
)

// A stale response that may replace an error is returned at the deadline, whichever layer sets it, and can be read.
func TestStaleResponseReplacesATimeout(t *testing.T) {
	const fields, url = "max-age=1, stale-if-error=600", "http://example.com/"
	for name, call := range map[string]func(context.Context, *cache.Cache, http.RoundTripper) (string, error){
		"a timeout of the client": func(ctx context.Context, c *cache.Cache, origin http.RoundTripper) (string, error) {
			client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{c.Middleware}, Timeouts: ply.Timeouts{Total: 5 * time.Second}})
			if err != nil {
				return "", err
			}
			return ply.Text(client.Get(ctx, url))
		},
		"a deadline of the context, and retries": func(ctx context.Context, c *cache.Cache, origin http.RoundTripper) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{c.Middleware, retry.New(retry.Options{})}})
			if err != nil {
				return "", err
			}
			return ply.Text(client.Get(ctx, url))
		},
		"a timeout of http.Client": func(_ context.Context, c *cache.Cache, origin http.RoundTripper) (string, error) {
			return ply.Text((&http.Client{Transport: c.Middleware(origin), Timeout: 5 * time.Second}).Get(url))
		},
		"a limit of the transport's phase": func(ctx context.Context, c *cache.Cache, origin http.RoundTripper) (string, error) {
			return ply.Text((&http.Client{Transport: c.Middleware(ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				within, cancel := context.WithTimeoutCause(r.Context(), 5*time.Second, &ply.TimeoutError{Phase: ply.PhaseResponseHeader})
				defer cancel()
				resp, err := origin.RoundTrip(r.WithContext(within))
				if err != nil {
					return nil, context.Cause(within)
				}
				return resp, nil
			}))}).Get(url))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				origin := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					if asked++; asked > 1 {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return answering(r, 200, "stored", "Cache-Control", fields), nil
				})
				c, err := cache.New(cache.Options{})
				require.NoError(t, err)
				defer c.Close()
				for _, wait := range []time.Duration{0, 10 * time.Second} {
					time.Sleep(wait)
					if got, err := call(t.Context(), c, origin); got != "stored" || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				}
				time.Sleep(time.Hour)
				if _, err := call(t.Context(), c, origin); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("beyond the window: %v", err)
				}
			})
		})
	}
}
