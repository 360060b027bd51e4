//go:build unix

package dynamodb_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
)

// origin answers each path with bytes of its own, as many as the path says.
var origin = handler(func(r *http.Request) (*http.Response, error) {
	b := content(r.URL.Path)
	h := http.Header{"Cache-Control": {r.URL.Query().Get("cc")}, "Etag": {`"one"`}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
	resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: h, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b))}
	if r.Header.Get("If-None-Match") != "" {
		resp.StatusCode, resp.Body, resp.ContentLength = 304, http.NoBody, 0
	}
	return resp, nil
})

func content(path string) []byte {
	n, name := 0, ""
	fmt.Sscanf(path, "/%d/%s", &n, &name)
	return bytes.Repeat([]byte(path), n/len(path)+1)[:n]
}

// fetch asks for a path, checks the body, and reports whether it came from the cache.
func fetch(t *testing.T, c *http.Client, path, cacheControl string) bool {
	t.Helper()
	resp, err := c.Get("http://origin.test" + path + "?cc=" + cacheControl)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if !bytes.Equal(b, content(path)) {
		t.Errorf("GET %s: a wrong body of %d bytes", path, len(b))
	}
	s, _ := cache.StatusOf(resp)
	return s.Hit
}

func newCache(t *testing.T, s store.Store, timeout time.Duration) (*cache.Cache, *http.Client) {
	t.Helper()
	c, err := cache.New(cache.Options{Store: s, StoreTimeout: timeout})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c, &http.Client{Transport: c.Middleware(origin)}
}

// A table at its limit costs hits, and no request its answer.
func TestThrottledStoreFailsNoRequest(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	c, client := newCache(t, s, 100*time.Millisecond)
	var n atomic.Int64
	calls.set(func(_ string, r *http.Request) (*http.Response, error) {
		if n.Add(1)%3 != 0 {
			return refusal(r, 400, "ProvisionedThroughputExceededException"), nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	for i := range 100 {
		fetch(t, client, fmt.Sprintf("/%d/x", 100+i%7*20_000), "max-age=600")
	}
	require.NotZero(t, c.Stats().StoreErrors)
	calls.set(nil)
	testutil.Eventually(t, "a hit", func() bool { return fetch(t, client, "/100/y", "max-age=600") })
}

// What a cache asks of DynamoDB, which docs/stores-operating.md states as what it costs.
func TestCallsOfACache(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	c, client := newCache(t, s, 20*time.Second)
	fetch(t, client, "/100/first", "max-age=600") // with what a cache asks once
	testutil.Eventually(t, "storing", func() bool { return c.Stats().Stored == 1 })
	for _, step := range []struct {
		name, path, control string
		stored              uint64
		want                []string
	}{
		{"miss", "/1000/a", "max-age=600", 2, []string{"BatchGetItem", "BatchGetItem", "PutItem", "PutItem"}},
		{"hit", "/1000/a", "max-age=600", 2, []string{"BatchGetItem"}},
	} {
		calls.set(nil)
		fetch(t, client, step.path, step.control)
		testutil.Eventually(t, "storing", func() bool { return uint64(c.Stats().Stored) >= step.stored })
		got := slices.Sorted(slices.Values(calls.sent()))
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", step.name, diff)
		}
	}
}

// What each call costs in calls of DynamoDB, which docs/stores-operating.md states.
func TestCallsOfEachOperation(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	is := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, calls.sent()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
		calls.set(nil)
	}
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
	is("Put", "PutItem")
	r := get(t, s, "k")
	is("Get", "GetItem")
	require.NoError(t, s.Delete(t.Context(), "k", r.Version))
	is("Delete", "DeleteItem")
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: large(1)}))
	is("Put of a large record", "BatchWriteItem", "PutItem")
	r = get(t, s, "k")
	is("Get of a large record", "GetItem", "BatchGetItem")
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: large(2), Version: r.Version}))
	is("Put in the place of a large record", "BatchWriteItem", "PutItem", "BatchWriteItem")
	_, err := s.GetMulti(t.Context(), []string{"k", "l", "m"})
	require.NoError(t, err)
	is("GetMulti", "BatchGetItem", "BatchGetItem")
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}), store.ErrConflict)
	is("Put that meets a conflict", "PutItem", "GetItem")
}
