package cache_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
)

// unclosedBody is a body that its caller drops.
type unclosedBody struct{ io.Reader }

func (*unclosedBody) Close() error { return nil }

// Layers that watch for bodies which are dropped without Close keep the context of the request for that, in the argument of runtime.AddCleanup or elsewhere.
func TestContextThatALayerBelowKeepsDoesNotKeepADroppedBody(t *testing.T) {
	for _, test := range []struct {
		name, method, control string
		leaves                bool // the caller's context can end
	}{
		{"not stored", http.MethodGet, "no-store", false},
		{"not stored, of a caller that may leave", http.MethodGet, "no-store", true},
		{"POST", http.MethodPost, "", false},
		{"HEAD", http.MethodHead, "max-age=60", false},
		{"switched off", http.MethodGet, "max-age=60", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := cache.New(cache.Options{})
			require.NoError(t, err)
			defer c.Close()
			c.SetEnabled(test.name != "switched off")
			collected := make(chan struct{}, 2)
			var kept []context.Context
			below := roundTripper(func(r *http.Request) (*http.Response, error) {
				kept = append(kept, r.Context())
				resp := reply(http.StatusOK, "", "Cache-Control: "+test.control, "X-Much: "+strings.Repeat("x", 100))
				body := &unclosedBody{strings.NewReader("unread")}
				runtime.AddCleanup(body, func(c chan struct{}) { c <- struct{}{} }, collected)
				resp.Body, resp.ContentLength = body, 6
				return resp, nil
			})
			ctx := context.Background()
			if test.leaves {
				var leave context.CancelFunc
				ctx, leave = context.WithCancel(ctx)
				defer leave()
			}
			// Twice: at first others could share the answer, then it is known that they cannot.
			for range 2 {
				r, err := http.NewRequestWithContext(ctx, test.method, "http://origin.test/", nil)
				require.NoError(t, err)
				_, err = c.Middleware(below).RoundTrip(r)
				require.NoError(t, err)
			}
			testutil.Eventually(t, "both bodies are collected", func() bool {
				runtime.GC()
				return len(collected) == 2
			})
			runtime.KeepAlive(kept)
		})
	}
}
