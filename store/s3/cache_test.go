//go:build unix

package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
)

// proof returns n bytes that show which path they are of, and that they are whole.
func proof(path string, n int) []byte {
	sum := sha256.Sum256([]byte(path))
	b := append([]byte(path), bytes.Repeat(sum[:], n/len(sum)+1)...)
	return b[:n]
}

// sizeOf is the size that a path ends with.
func sizeOf(of string) int {
	n, _ := strconv.Atoi(path.Base(of))
	return n
}

// client is one process of a fleet: a cache of its own over a store.
type client struct {
	*http.Client
	cache *cache.Cache
	asked atomic.Int64 // requests that its origin has seen
}

// startClient returns a client whose origin answers each path with its proof, in the size that the path ends with. With the query "validated" the answers
// are stale at once, and have an ETag.
func startClient(tb testing.TB, s store.Store, o cache.Options) *client {
	tb.Helper()
	o.Store = s
	c, err := cache.New(o)
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	p := &client{cache: c}
	p.Client = &http.Client{Transport: c.Middleware(testutil.RoundTripFunc(p.origin))}
	return p
}

func (c *client) origin(r *http.Request) (*http.Response, error) {
	c.asked.Add(1)
	resp := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Cache-Control": {"max-age=600"}}, Request: r, Body: http.NoBody}
	if r.URL.RawQuery == "validated" {
		resp.Header = http.Header{"Cache-Control": {"no-cache"}, "Etag": {`"one"`}}
		if r.Header.Get("If-None-Match") != "" {
			resp.StatusCode = http.StatusNotModified
			return resp, nil
		}
	}
	b := proof(r.URL.Path, sizeOf(r.URL.Path))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	return resp, nil
}

// do makes a request, checks the body, and returns whether it came from the cache.
func (c *client) do(method, target string) (hit bool, err error) {
	r, err := http.NewRequest(method, "http://example.test"+target, http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(b, proof(r.URL.Path, sizeOf(r.URL.Path))) {
		err = fmt.Errorf("a wrong body of %d bytes", len(b))
	}
	s, _ := cache.StatusOf(resp)
	return s.Hit, err
}

func (c *client) get(tb testing.TB, target string) (hit bool) {
	tb.Helper()
	hit, err := c.do(http.MethodGet, target)
	if err != nil {
		tb.Errorf("GET %s: %v", target, err)
	}
	return hit
}

// stores asks for a target, and waits until the answer is stored.
func (c *client) stores(tb testing.TB, target string) {
	tb.Helper()
	before := c.cache.Stats().Stored
	if !c.get(tb, target) {
		testutil.Eventually(tb, "the answer is stored", func() bool { return c.cache.Stats().Stored > before })
	}
}

// hits waits until a target is answered from the cache.
func (c *client) hits(tb testing.TB, target string) {
	tb.Helper()
	testutil.Eventually(tb, target+" is answered from the cache", func() bool { return c.get(tb, target) })
}

var patient = cache.Options{StoreTimeout: 20 * time.Second} // for what is not about a slow machine

// What one process fetches, others have, and what one invalidates, no other serves any more.
func TestProcessesShareResponsesAndInvalidations(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one := startClient(t, open(t, srv.addr, "ply", s3.Options{}), patient)
	two := startClient(t, open(t, srv.addr, "ply", s3.Options{}), patient)
	for _, size := range []int{100, 300_000, 3 << 20} {
		target := fmt.Sprintf("/shared/%d", size)
		one.hits(t, target)
		if !two.get(t, target) {
			t.Errorf("%s: the other process has no copy", target)
		}
		require.NoError(t, two.cache.DeleteURL(t.Context(), "http://example.test"+target))
		if one.get(t, target) {
			t.Errorf("%s: it is served after its invalidation by the other process", target)
		}
		two.hits(t, target)
	}
	one.stores(t, "/stale/100?validated")
	asked := two.asked.Load()
	two.get(t, "/stale/100?validated")
	if stats := two.cache.Stats(); two.asked.Load() != asked+1 || stats.Revalidated == 0 {
		t.Errorf("what the other process has stored is not validated: %+v", stats)
	}
	require.NoError(t, one.cache.Clear(t.Context()))
	if two.get(t, "/shared/100") {
		t.Error("it is served after Clear by the other process")
	}
}

// What the table of costs in docs/stores-operating.md says.
func TestRequestsOfACache(t *testing.T) {
	t.Parallel()
	f, s := fakeServer(t, s3.Options{})
	c := startClient(t, s, patient)
	leased := startClient(t, s, cache.Options{StoreTimeout: patient.StoreTimeout, Lease: time.Minute})
	c.stores(t, "/before/100") // what every process asks for once
	leased.stores(t, "/before/200")
	for _, tt := range []struct {
		name string
		do   func()
		want map[string]int
	}{
		{"miss", func() { c.stores(t, "/a/100") }, map[string]int{"GET": 6, "PUT": 2}},
		{"hit", func() { c.get(t, "/a/100") }, map[string]int{"GET": 4}},
		{"miss of 600 KB", func() { c.stores(t, "/a/600000") }, map[string]int{"GET": 6, "PUT": 5}},
		{"hit of 600 KB", func() { c.get(t, "/a/600000") }, map[string]int{"GET": 7}},
		{"first of what is validated", func() { c.stores(t, "/v/100?validated") }, map[string]int{"GET": 6, "PUT": 2}},
		{"validation", func() { c.stores(t, "/v/100?validated") }, map[string]int{"GET": 6, "PUT": 1}},
		{"miss with a lease", func() { leased.stores(t, "/l/100") }, map[string]int{"GET": 11, "PUT": 4}},
	} {
		settled(f.Counts)
		tt.do()
		got := settled(f.Counts)
		t.Logf("%s: %v", tt.name, got)
		for kind, n := range got {
			if n > tt.want[kind] {
				t.Errorf("%s: requests of the store are %v, want at most %v", tt.name, got, tt.want)
			}
		}
	}
}

// settled adds up counts until no more come for a while: some of them are made behind the caller's back.
func settled(counts func() map[string]int) map[string]int {
	sum := make(map[string]int)
	for quiet := 0; quiet < 10; quiet++ {
		for kind, n := range counts() {
			sum[kind] += n
			quiet = 0
		}
		<-time.After(10 * time.Millisecond)
	}
	return sum
}

// A crowd is what came of many requests.
type crowd struct {
	all, hits, failed atomic.Int64
	longest           atomic.Int64 // in nanoseconds
}

// crowd has workers ask for some targets until the context is done. Wrong bodies and failures are errors of the test.
func (c *client) crowd(t *testing.T, ctx context.Context) *crowd {
	var sum crowd
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				hit, err := c.do(http.MethodGet, fmt.Sprintf("/crowd/%d/%d", rand.N(10), 100+rand.N(5)*100_000))
				took := int64(time.Since(began))
				sum.all.Add(1)
				if hit {
					sum.hits.Add(1)
				}
				if err != nil {
					sum.failed.Add(1)
					t.Errorf("a request fails: %v", err)
				}
				for most := sum.longest.Load(); took > most && !sum.longest.CompareAndSwap(most, took); most = sum.longest.Load() {
				}
				<-time.After(rand.N(10 * time.Millisecond))
			}
		})
	}
	workers.Wait()
	return &sum
}

const storeTimeout = 200 * time.Millisecond

// survives has a crowd ask while a fault lasts, which begin starts and end ends. No request may fail, get a wrong body, or wait for longer than the store has time,
// once for the lookup and once for what follows. Afterwards answers come from the cache again.
func survives(t *testing.T, s *s3.Store, begin, end func()) {
	t.Helper()
	c := startClient(t, s, cache.Options{StoreTimeout: storeTimeout})
	c.hits(t, "/crowd/0/100")
	ctx, cancel := context.WithTimeout(t.Context(), max(*long, 400*time.Millisecond))
	defer cancel()
	begin()
	sum := c.crowd(t, ctx)
	end()
	longest := time.Duration(sum.longest.Load())
	t.Logf("%d requests, %d hits, longest %v, %+v", sum.all.Load(), sum.hits.Load(), longest, c.cache.Stats())
	bound := 2*storeTimeout + 5*time.Second
	if *exact {
		bound = 2*storeTimeout + 20*time.Millisecond
	}
	if longest > bound {
		t.Errorf("a request takes %v, want %v at most", longest, bound)
	}
	c.hits(t, "/crowd/0/100")
	if _, err := c.do(http.MethodGet, fmt.Sprintf("/after/%d/100", rand.Int())); err != nil {
		t.Error(err)
	}
}
