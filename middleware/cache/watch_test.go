package cache

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
)

// The watch is in the context of what is sent, as an httptrace that hears beside the caller's own. It needs the key of package httptrace, and does without where that has another one.
func TestWatchHearsCredentialsBelowBesideTheCallersOwnTrace(t *testing.T) {
	require.True(t, lazyTrace, "package httptrace looks for its trace in another way: each exchange costs a context more")
	defer func() { lazyTrace = true }()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	defer server.Close()
	for _, lazy := range []bool{true, false} {
		for _, traced := range []bool{false, true} {
			for _, signed := range []bool{false, true} {
				t.Run(fmt.Sprintf("lazy %v, traced %v, signed %v", lazy, traced, signed), func(t *testing.T) {
					lazyTrace = lazy
					c, err := New(Options{})
					require.NoError(t, err)
					defer c.Close()
					hidden := roundTripperFunc(func(r *http.Request) (*http.Response, error) {
						sent := r.Clone(r.Context())
						if signed {
							sent.Header.Set("Authorization", "Bearer below")
						}
						resp, err := server.Client().Transport.RoundTrip(sent)
						if resp != nil {
							resp.Request = r // so only the trace shows what was written
						}
						return resp, err
					})
					ctx, heard := context.Background(), new(atomic.Int64) // net/http calls the hooks on goroutines of its own
					if traced {
						ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
							GotConn:              func(httptrace.GotConnInfo) { heard.Add(1) },
							GotFirstResponseByte: func() { heard.Add(1) },
							WroteRequest:         func(httptrace.WroteRequestInfo) { heard.Add(1) },
						})
					}
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
					require.NoError(t, err)
					resp, err := c.Middleware(hidden).RoundTrip(r)
					require.NoError(t, err)
					resp.Body.Close()
					status, _ := StatusOf(resp)
					if status.Stored == signed {
						t.Errorf("Cache-Status: %s", status)
					}
					if traced { // an answer may be there before it is said that the request has been written
						testutil.Eventually(t, "the caller's own trace to hear of three events", func() bool { return heard.Load() == 3 })
					}
				})
			}
		}
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
