package cache

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

type originFunc func(*http.Request) (*http.Response, error)

func (f originFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Latecomers to a herd lead flights that need not start, because the answer is in the store by then. Those who have joined one find it there as well,
// rather than join the next such flight, and the next, until they have had enough of it and ask the origin.
func TestCollapseLateJoinersFindTheStoredResponse(t *testing.T) {
	asked := 0
	c, err := New(Options{})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(originFunc(func(*http.Request) (*http.Response, error) {
		asked++
		return &http.Response{
			Status: "200 OK", StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}},
			ContentLength: 5, Body: io.NopCloser(strings.NewReader("hello")),
		}, nil
	}))
	late := func() *exchange { // looked into the store before anything was there
		r := requestOf("GET", "").WithContext(t.Context())
		var a rfc9111.Request
		c.read(&a, r, &connection.Chain{})
		return rt.(*layer).newExchange(r, &a, c.anonymousKey(nil, &a, r), lookup{Lookup: rfc9111.Lookup{Fwd: cachestatus.FwdURIMiss}}, time.Now())
	}
	leader, follower := late(), late()
	flight, as := c.fetches.join(leader)
	require.Equal(t, leads, as)
	joined, as := c.fetches.join(follower)
	require.Equal(t, shares, as)
	resp, err := rt.RoundTrip(requestOf("GET", "").WithContext(WithoutCollapsing(t.Context())))
	require.NoError(t, err)
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	resp, _, err = leader.lead(flight, rfc9111.Decision{Fwd: cachestatus.FwdURIMiss})
	require.NoError(t, err)
	resp.Body.Close()
	resp, verdict, err := follower.share(joined, rfc9111.Decision{Fwd: cachestatus.FwdURIMiss})
	require.NoError(t, err)
	if verdict != answered || resp == nil || asked != 1 {
		t.Errorf("verdict %d, answer %v, %d requests at the origin", verdict, resp, asked)
	}
}
