package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// callers sends requests whose contexts and values it forgets, but for weak pointers.
type callers struct {
	rt      http.RoundTripper
	mu      sync.Mutex // guards the fields below
	values  map[string]weak.Pointer[[1024]byte]
	request map[string]weak.Pointer[http.Request]
}

// send sends a request, reads n bytes of its body, or all for -1, and closes it.
func (c *callers) send(what, method, url string, n int64, fields ...string) error {
	value := new([1024]byte)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), signer{}, value))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	c.mu.Lock()
	c.values[what], c.request[what] = weak.Make(value), weak.Make(r)
	c.mu.Unlock()
	resp, err := c.rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if n < 0 {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	_, err = io.CopyN(io.Discard, resp.Body, n)
	return err
}

// What a cache keeps of an answer has nothing of the caller: once its response is closed and dropped, neither its request nor what its context holds
// stays in memory, whatever came of it and however long the answer is stored.
func TestStoredAnswersKeepNoCaller(t *testing.T) {
	broken := errors.New("broken")
	for name, options := range map[string]func() cache.Options{
		"memory": func() cache.Options { return cache.Options{} },
		"bytes":  func() cache.Options { return cache.Options{Store: storetest.NewMap(1 << 30)} },
		"tiers": func() cache.Options {
			return cache.Options{Store: cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), storetest.NewMap(1<<30)), Lease: time.Second}
		},
		"ahead":  func() cache.Options { return cache.Options{Expiry: expiry.Ahead(expiry.Default(), 0.5)} },
		"shared": func() cache.Options { return cache.Options{Shared: true} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := cache.New(options())
				require.NoError(t, err)
				defer c.Close()
				status := 200
				all := &callers{values: map[string]weak.Pointer[[1024]byte]{}, request: map[string]weak.Pointer[http.Request]{}}
				all.rt = c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Second)
					if status == 0 {
						return nil, broken
					}
					if status == 200 && r.Header.Get("If-None-Match") != "" {
						resp := reply(304, "", `Etag: "1"`, "Cache-Control: public, max-age=60, stale-if-error=3600, stale-while-revalidate=30")
						resp.Request = r
						return resp, nil
					}
					resp := reply(status, string(make([]byte, 50_000)), `Etag: "1"`, "Vary: Accept", "Cache-Control: public, max-age=60, stale-if-error=3600, stale-while-revalidate=30")
					if r.URL.Path == "/no" {
						resp.Header.Set("Cache-Control", "no-store")
					}
					resp.Request = r
					return resp, nil
				}))
				check := func(err error) { require.NoError(t, err) }
				check(all.send("a miss", "GET", "http://h/a", -1))
				check(all.send("a hit", "GET", "http://h/a", -1))
				check(all.send("a hit that is read in part", "GET", "http://h/a", 10))
				check(all.send("a variant", "GET", "http://h/a", -1, "Accept", "x/y"))
				check(all.send("a range", "GET", "http://h/a", -1, "Range", "bytes=1-100"))
				check(all.send("a HEAD", "HEAD", "http://h/a", -1))
				check(all.send("a miss that is read in part", "GET", "http://h/part", 100))
				check(all.send("what is not stored", "GET", "http://h/no", -1))
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() {
						n := int64(-1)
						if i%2 == 0 {
							n = 5
						}
						stored := all.send(fmt.Sprint("together ", i), "GET", "http://h/together", n)
						unstored := all.send(fmt.Sprint("not stored, together ", i), "GET", "http://h/no", n)
						if err := errors.Join(stored, unstored); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				time.Sleep(45 * time.Second)
				check(all.send("refreshed ahead", "GET", "http://h/a", -1))
				time.Sleep(40 * time.Second)
				check(all.send("stale while revalidated", "GET", "http://h/a", -1))
				time.Sleep(10 * time.Minute)
				check(all.send("validated", "GET", "http://h/a", -1))
				time.Sleep(10 * time.Minute)
				status = 503
				check(all.send("stale for a 503", "GET", "http://h/a", -1))
				check(all.send("a 503", "GET", "http://h/503", -1))
				status = 0
				check(all.send("stale for an error", "GET", "http://h/a", -1))
				if err := all.send("an error", "GET", "http://h/error", -1); !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
				status = 200
				check(all.send("a POST", "POST", "http://h/b", -1))
				time.Sleep(time.Hour)
				synctest.Wait()
				runtime.GC()
				runtime.GC()
				for what, value := range all.values {
					if value.Value() != nil {
						t.Errorf("%s: what the caller's context holds is still in memory", what)
					}
					if all.request[what].Value() != nil {
						t.Errorf("%s: the caller's request is still in memory", what)
					}
				}
				runtime.KeepAlive(c)
			})
		})
	}
}
