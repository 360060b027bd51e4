package cache_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

func ExampleNew() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for range 2 {
		resp, err := client.Get("http://example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(status.Outcome())
	}
	// Output:
	// miss
	// hit
}

func ExampleNewMemory() {
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 20})})
	fmt.Println(c.Stats().Bytes, err)
	// Output: 0 <nil>
}

// show sends a GET and prints what the cache did.
func show(ctx context.Context, rt http.RoundTripper) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	status, _ := cache.StatusOf(resp)
	fmt.Println(resp.StatusCode, status.Outcome())
}

func ExampleDisable() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: max-age=60"))
	ctx := context.Background()
	show(ctx, rt)
	off := cache.Disable(ctx)
	show(off, rt)
	show(cache.Enable(off), rt)
	// Output:
	// 200 miss
	// 200 bypassed
	// 200 hit
}

func ExampleWithMode() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: max-age=60"))
	ctx := context.Background()
	show(cache.WithMode(ctx, cache.ModeOnlyIfCached), rt)
	show(cache.WithMode(ctx, cache.ModeReload), rt)
	show(cache.WithMode(ctx, cache.ModeOnlyIfCached), rt)
	// Output:
	// 504 refused
	// 200 miss
	// 200 hit
}

func ExampleWithExpiry() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: no-store"))
	ctx := cache.WithExpiry(context.Background(), expiry.After(time.Hour))
	show(ctx, rt)
	show(ctx, rt)
	// Output:
	// 200 miss
	// 200 hit
}

func ExampleWithTrace() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: no-store"))
	ctx := cache.WithTrace(context.Background(), &cache.Trace{
		NotStored: func(_ *http.Request, reason string) { fmt.Println("not stored:", reason) },
	})
	show(ctx, rt)
	// Output:
	// not stored: no-store
	// 200 miss
}

func ExampleStatusOf() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	rt := c.Middleware(says("hello"))
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	status, ok := cache.StatusOf(resp)
	fmt.Println(ok, status.Hit, status.Fwd, status.Detail)
	// Output: true false uri-miss not stored: no freshness, no validator
}

func ExampleCache_DeletePattern() {
	c, _ := cache.New(cache.Options{})
	defer c.Close()
	show(context.Background(), c.Middleware(says("hello", "Cache-Control: max-age=60")))
	n, err := c.DeletePattern(context.Background(), "example.com/**")
	fmt.Println(n, err)
	// Output:
	// 200 miss
	// 1 <nil>
}

// Ten callers ask at once, and the origin is asked once: those who come while the answer is on its way read along.
func ExampleCache_Middleware_herd() {
	var asked atomic.Int64
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return reply(200, "hello", "Cache-Control: max-age=60"), nil
	}))}
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			resp, err := client.Get("http://example.com/")
			if err != nil {
				fmt.Println(err)
				return
			}
			readAll(resp)
		})
	}
	callers.Wait()
	fmt.Println("requests at the origin:", asked.Load())
	// Output: requests at the origin: 1
}

// The processes of a fleet share a store, and with Lease the exchanges with the origin, too. Here two caches stand for two processes.
func ExampleOptions_lease() {
	shared := storetest.NewMap(0) // store/redis, say
	var asked atomic.Int64
	origin := roundTripper(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return reply(200, "hello", "Cache-Control: max-age=60"), nil
	})
	var callers sync.WaitGroup
	for range 2 {
		c, err := cache.New(cache.Options{Store: shared.Open(), Lease: 10 * time.Second})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer c.Close()
		client := &http.Client{Transport: c.Middleware(origin)}
		for range 10 {
			callers.Go(func() {
				resp, err := client.Get("http://example.com/")
				if err != nil {
					fmt.Println(err)
					return
				}
				readAll(resp)
			})
		}
	}
	callers.Wait()
	fmt.Println("requests at the origin:", asked.Load())
	// Output: requests at the origin: 1
}

// A caller that must have an exchange of its own says so.
func ExampleWithoutCollapsing() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	ctx := cache.WithoutCollapsing(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	readAll(resp)
	status, _ := cache.StatusOf(resp)
	fmt.Println(status.Outcome(), status.Collapsed)
	// Output: miss false
}

// Two caches on one store, as two processes would have it: what one has stored the other serves.
func ExampleTiered() {
	shared := storetest.NewMap(1 << 20) // or what sqlite.Open, file.Open or redis.Open returns
	origin := says("hello", "Cache-Control: max-age=60")
	for range 2 {
		near := cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 20})
		c, err := cache.New(cache.Options{Store: cache.Tiered(near, shared)})
		if err != nil {
			panic(err)
		}
		client := &http.Client{Transport: c.Middleware(origin)}
		resp, err := client.Get("http://example.com/")
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(status.Outcome())
		c.Close()
	}
	// Output:
	// miss
	// hit
}

// A layer below the cache adds the credentials. The program says who asks, so that answers can be kept, each for its principal.
func ExampleWithPrincipal() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for _, user := range []string{"alice", "bob", "alice"} {
		ctx := cache.WithPrincipal(context.Background(), user)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/me", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := client.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(user, status.Outcome())
	}
	// Output:
	// alice miss
	// bob miss
	// alice hit
}

// A dialer has no content to name its connections by. With a name they have one in each process, here two caches on one store.
func ExampleNamedConnection() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	}))
	defer server.Close()
	shared := storetest.NewMap(1 << 20) // or what file.Open returns
	for range 2 {
		gateway := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}}
		c, err := cache.New(cache.Options{Store: shared})
		if err != nil {
			panic(err)
		}
		client := &http.Client{Transport: c.Middleware(cache.NamedConnection("gateway of the head office")(gateway))}
		resp, err := client.Get("http://intranet.example/")
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(status.Outcome())
		c.Close()
		gateway.CloseIdleConnections()
	}
	// Output:
	// miss
	// hit
}

// Two users have one client. One logs out: all that is stored for her goes.
func ExampleCache_DeletePrincipal() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	get := func(user string) {
		r, err := http.NewRequestWithContext(cache.WithPrincipal(context.Background(), user), http.MethodGet, "http://example.com/me", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := client.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(user, status.Outcome())
	}
	get("alice")
	get("bob")
	if err := c.DeletePrincipal(context.Background(), "alice"); err != nil {
		fmt.Println(err)
		return
	}
	get("alice")
	get("bob")
	// Output:
	// alice miss
	// bob miss
	// alice miss
	// bob hit
}

// One stored response goes, and the others stay: the way to choose where a URL does not say enough.
func ExampleCache_DeleteEntry() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for _, url := range []string{"http://example.com/a", "http://example.com/b"} {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	ctx := context.Background()
	for e := range c.Entries(ctx) {
		if e.Method() == http.MethodGet && e.URL() == "http://example.com/a" {
			if err := c.DeleteEntry(ctx, e); err != nil {
				fmt.Println(err)
			}
		}
	}
	for url := range c.URLs(ctx) {
		fmt.Println(url)
	}
	// Output:
	// http://example.com/b
}

func ExampleNoGraphQLErrors() {
	c, _ := cache.New(cache.Options{FilterBody: cache.NoGraphQLErrors})
	defer c.Close()
	rt := c.Middleware(says(`{"errors":[{"message":"busy"}]}`, "Cache-Control: max-age=60", "Content-Type: application/json"))
	show(context.Background(), rt)
	show(context.Background(), rt)
	// Output:
	// 200 miss
	// 200 miss
}

// Fill the cache at the start of the program, eight URLs at a time.
func ExampleWarmer() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	w := &cache.Warmer{Client: client, Concurrency: 8, Progress: func(r cache.WarmResult, done, all int) {
		fmt.Printf("%d of %d: %s, stored: %t\n", done, all, r.URL, r.Status.Stored)
	}}
	err = w.Warm(context.Background(), "http://example.com/")
	fmt.Println(err)
	show(context.Background(), c.Middleware(nil))
	// Output:
	// 1 of 1: http://example.com/, stored: true
	// <nil>
	// 200 hit
}

func ExampleWarm() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: no-store"))}
	fmt.Println(cache.Warm(context.Background(), client, "http://example.com/"))
	// Output: cache: warm http://example.com/: not stored: no-store
}

// Why is this not a hit? Explain asks nothing of the origin, and leaves everything as it is.
func ExampleCache_Explain() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	rt := c.Middleware(says("hello", "Cache-Control: max-age=60", "Vary: Accept"))
	ctx := context.Background()
	show(ctx, rt)
	r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Header.Set("Accept", "text/html")
	x, err := c.Explain(ctx, r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Action, x.Forward)
	for _, s := range x.Stored {
		fmt.Println(s.StatusCode, s.Why, s.Varies)
	}
	// Output:
	// 200 miss
	// fetch vary-miss
	// 200 the request has another Accept [{Accept (absent) text/html false}]
}

// An answer from an archive is judged at the time that it was received at. Each rule that decides has its section.
func ExampleCache_ExplainResponseAt() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	received := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	resp := reply(200, "hello", "Date: Wed, 01 Jan 2020 12:00:00 GMT", "Expires: Wed, 01 Jan 2020 13:00:00 GMT", `ETag: "1"`)
	x, err := c.ExplainResponseAt(context.Background(), r, resp, received)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rule := range x.Rules {
		fmt.Printf("%s (%s)\n", rule.Text, rule.Source)
	}
	// Output:
	// The response would be stored. (RFC 9111 §3)
	// Expires gives the lifetime, counted from Date. (RFC 9111 §4.2.1, §5.3)
	// Once stale it can be validated by a conditional request. (RFC 9111 §4.3.1)
	// The cache is private: it is for the requests of this client with the same key. (RFC 9111 §1, §2)
}

// Would this be stored?
func ExampleCache_ExplainResponse() {
	c, err := cache.New(cache.Options{Shared: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, control := range []string{"private, max-age=60", "public, max-age=60"} {
		x, err := c.ExplainResponse(context.Background(), r, reply(200, "hello", "Cache-Control: "+control))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(x)
	}
	// Output:
	// not stored: private (RFC 9111 §5.2.2.7)
	// stored: fresh for 1m0s, of a lifetime of 1m0s
}
