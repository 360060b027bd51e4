package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// A cache in an existing client: the second request is answered from the store.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Timeout: time.Minute}
	client.Transport = c.Middleware(client.Transport) // nil stands for http.DefaultTransport

	for range 2 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(resp.Body) // what is read to its end is stored
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		fmt.Println(string(body), err, status.Outcome())
	}
	// Output:
	// hello <nil> miss
	// hello <nil> hit
}

// fetch sends a request through a cache, reads the response, and returns what the cache did in a word, and why.
func fetch(ctx context.Context, client *http.Client, method, url, body string, header ...string) string {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err.Error()
	}
	status, _ := cache.StatusOf(resp)
	return strings.TrimSuffix(status.Outcome()+": "+status.Detail, ": ")
}

// fetchAll is fetch for GETs of several URLs.
func fetchAll(client *http.Client, urls ...string) {
	for _, url := range urls {
		fmt.Println(fetch(context.Background(), client, http.MethodGet, url, ""), url)
	}
}

// A server that says nothing about lifetimes gets a minute, a 404 ten seconds, and its word counts where there is one.
func ExampleOptions_expiry() {
	c, err := cache.New(cache.Options{Expiry: expiry.First(
		expiry.ByStatus(map[int]expiry.Strategy{http.StatusNotFound: expiry.After(10 * time.Second)}),
		expiry.Default(),
		expiry.After(time.Minute),
	)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello"))}
	fetchAll(client, "http://example.com/", "http://example.com/")
	// Output:
	// miss http://example.com/
	// hit http://example.com/
}

// Links that differ in how a visitor came share one response.
func ExampleOptions_key() {
	c, err := cache.New(cache.Options{Key: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}, Sort: true}))})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	fetchAll(client, "http://example.com/?a=1&b=2", "http://example.com/?utm_source=mail&b=2&a=1")
	// Output:
	// miss http://example.com/?a=1&b=2
	// hit http://example.com/?utm_source=mail&b=2&a=1
}

// A search by POST only asks, so it may be answered from the store. Its content is part of the key, without what makes no difference.
func ExampleOptions_methods() {
	c, err := cache.New(cache.Options{
		Methods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		Key:     keying.New(keying.Body(keying.BodyOptions{Ignore: []string{"requestId"}})),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for _, query := range []string{`{"q": "go", "requestId": 1}`, `{"q":"go","requestId":2}`, `{"q":"ply"}`} {
		fmt.Println(fetch(context.Background(), client, http.MethodPost, "http://example.com/search", query, "Content-Type", "application/json"), query)
	}
	// Output:
	// miss {"q": "go", "requestId": 1}
	// hit {"q":"go","requestId":2}
	// miss {"q":"ply"}
}

// While the server fails, what is stored stands in for it: for a day, whatever has expired meanwhile.
func ExampleOptions_staleIfError() {
	c, err := cache.New(cache.Options{StaleIfError: 24 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	status := http.StatusOK
	client := &http.Client{Transport: c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) {
		return reply(status, "hello", "Cache-Control: max-age=0"), nil
	}))}
	fetchAll(client, "http://example.com/")
	status = http.StatusServiceUnavailable
	fetchAll(client, "http://example.com/")
	// Output:
	// miss http://example.com/
	// stale: served from store: stale-if-error http://example.com/
}

// Only what the filter lets through is stored. Here it is what a server marks as its own.
func ExampleOptions_filter() {
	c, err := cache.New(cache.Options{Filter: func(_ *http.Request, resp *http.Response) bool {
		return resp.Header.Get("X-From") == "main"
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60", "X-From: fallback"))}
	fetchAll(client, "http://example.com/")
	// Output: miss: not stored: filter http://example.com/
}

// A program without a network answers from what is stored. What is not there is a 504, and no error of the client.
func ExampleCache_SetMode() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	fetchAll(client, "http://example.com/")
	c.SetMode(cache.ModeOnlyIfCached)
	fetchAll(client, "http://example.com/", "http://example.com/never-seen")
	// Output:
	// miss http://example.com/
	// hit: mode only-if-cached http://example.com/
	// refused: only-if-cached, nothing stored http://example.com/never-seen
}

// An operator switches the cache off, and on again. What is stored stays.
func ExampleCache_SetEnabled() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	fetchAll(client, "http://example.com/")
	c.SetEnabled(false)
	fetchAll(client, "http://example.com/")
	c.SetEnabled(true)
	fetchAll(client, "http://example.com/")
	// Output:
	// miss http://example.com/
	// bypassed: switched off http://example.com/
	// hit http://example.com/
}

// A write to one URL removes what is stored for that URL. What else has changed by it, the program removes.
func ExampleCache_DeleteURL() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	fetchAll(client, "http://example.com/orders", "http://example.com/orders/7")
	fmt.Println(fetch(ctx, client, http.MethodPut, "http://example.com/orders/7", "{}"), "PUT")
	if err := c.DeleteURL(ctx, "http://example.com/orders"); err != nil {
		fmt.Println(err)
	}
	fetchAll(client, "http://example.com/orders", "http://example.com/orders/7")
	// Output:
	// miss http://example.com/orders
	// miss http://example.com/orders/7
	// bypassed: method; not stored: method PUT
	// miss http://example.com/orders
	// miss http://example.com/orders/7
}

// After the strategy has changed, what is stored gets the lifetimes that it would have now.
func ExampleCache_RecomputeExpiry() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	fetchAll(client, "http://example.com/")
	if err := c.RecomputeExpiry(cache.WithExpiry(ctx, expiry.After(time.Hour))); err != nil {
		fmt.Println(err)
	}
	for e := range c.Entries(ctx) {
		fmt.Println(e.URL(), time.Until(e.Expires()).Round(time.Minute))
	}
	// Output:
	// miss http://example.com/
	// http://example.com/ 1h0m0s
}

// Users do not share: the key has a hash of the credentials. A user with a new token shares with the old one if the program names the user.
func ExampleWithPrincipal_tokens() {
	c, err := cache.New(cache.Options{Key: keying.SingleUser()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60"))}
	for _, who := range []struct{ user, token string }{{"alice", "Bearer a1"}, {"alice", "Bearer a2"}, {"bob", "Bearer b1"}} {
		ctx := cache.WithPrincipal(context.Background(), who.user)
		fmt.Println(who.user, fetch(ctx, client, http.MethodGet, "http://example.com/me", "", "Authorization", who.token))
	}
	// Output:
	// alice miss
	// alice hit
	// bob miss
}
