package cache_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// A layer below the cache signs in with the one account that the program has. So its answers may be kept.
func ExampleOptions_oneIdentityBelow() {
	c, err := cache.New(cache.Options{OneIdentityBelow: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	origin := roundTripper(func(r *http.Request) (*http.Response, error) {
		resp := reply(200, "for the account "+r.Header.Get("X-Api-Key"), "Cache-Control: max-age=60")
		resp.Request = r
		return resp, nil
	})
	signedIn := roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Api-Key", "k1")
		return origin(r)
	})
	rt := c.Middleware(signedIn)
	show(context.Background(), rt)
	show(context.Background(), rt)
	// Output:
	// 200 miss
	// 200 hit
}

// JSON-RPC asks and commands by POST. Here a method whose name begins with "get" is a question, and any other is a command.
func ExampleOptions_unsafe() {
	commands := func(r *http.Request) bool {
		body, err := r.GetBody()
		if err != nil {
			return true
		}
		defer body.Close()
		content, err := io.ReadAll(io.LimitReader(body, 1<<16))
		return err != nil || !strings.Contains(string(content), `"method":"get`)
	}
	c, err := cache.New(cache.Options{
		Methods: []string{"POST"},
		Key:     keying.New(keying.Body(keying.BodyOptions{Ignore: []string{"id"}})),
		Unsafe:  func(r *http.Request) bool { return r.GetBody == nil || commands(r) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(says(`{"result":7}`, "Cache-Control: max-age=60"))}
	for _, call := range []string{`{"id":1,"method":"getTotal"}`, `{"id":2,"method":"getTotal"}`, `{"id":3,"method":"add"}`, `{"id":4,"method":"getTotal"}`} {
		resp, err := client.Post("http://example.com/rpc", "application/json", strings.NewReader(call))
		if err != nil {
			fmt.Println(err)
			return
		}
		readAll(resp)
		status, _ := cache.StatusOf(resp)
		fmt.Println(call, status.Outcome())
	}
	// Output:
	// {"id":1,"method":"getTotal"} miss
	// {"id":2,"method":"getTotal"} hit
	// {"id":3,"method":"add"} bypassed
	// {"id":4,"method":"getTotal"} miss
}

// A hit sets no cookies unless it is told to.
func ExampleOptions_replayCookies() {
	for _, replay := range []bool{false, true} {
		c, err := cache.New(cache.Options{ReplayCookies: replay})
		if err != nil {
			fmt.Println(err)
			return
		}
		client := &http.Client{Transport: c.Middleware(says("hello", "Cache-Control: max-age=60", "Set-Cookie: theme=dark"))}
		for range 2 {
			resp, err := client.Get("http://example.com/")
			if err != nil {
				fmt.Println(err)
				return
			}
			readAll(resp)
			status, _ := cache.StatusOf(resp)
			fmt.Println(status.Outcome(), resp.Cookies())
		}
		c.Close()
	}
	// Output:
	// miss [theme=dark]
	// hit []
	// miss [theme=dark]
	// hit [theme=dark]
}

// An entry does not tell the name of its principal. It answers whether that has the name given.
func ExampleEntry_PrincipalIs() {
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	rt := c.Middleware(says("hello", "Cache-Control: max-age=60"))
	show(cache.WithPrincipal(ctx, "alice"), rt)
	for e := range c.Entries(ctx) {
		fmt.Println(e.URL(), e.PrincipalIs("alice"), e.PrincipalIs("bob"))
	}
	// Output:
	// 200 miss
	// http://example.com/ true false
}

// While the store is away, requests are answered, and an invalidation stays pending: other processes may not know of it yet.
func ExampleCache_Stats() {
	c, err := cache.New(cache.Options{Store: brokenStore{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(context.Background(), c.Middleware(says("hello", "Cache-Control: max-age=60")))
	if err := c.DeleteURL(context.Background(), "http://example.com/"); err != nil {
		fmt.Println("owed:", c.Stats().Owed)
	}
	if err := c.Close(); err != nil {
		fmt.Println("the store never heard of it")
	}
	// Output:
	// 200 miss
	// owed: 1
	// the store never heard of it
}

// The server names the products that a page shows. When one of them changes, the program removes all pages with it.
func ExampleOptions_tags() {
	c, err := cache.New(cache.Options{Tags: cache.SurrogateKey})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	rt := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) {
		return reply(200, "two products", "Cache-Control: max-age=60", "Surrogate-Key: product-7 product-8"), nil
	}))
	ctx := context.Background()
	show(ctx, rt)
	show(ctx, rt)
	if err := c.DeleteTag(ctx, "product-7"); err != nil {
		fmt.Println(err)
	}
	show(ctx, rt)
	// Output:
	// 200 miss
	// 200 hit
	// 200 miss
}

// What is asked for all the time is refreshed before it expires, as long as the budget of the host pays for it.
func ExampleOptions_refreshBudget() {
	var left atomic.Int64
	left.Store(1)
	refreshed := make(chan struct{}, 1)
	c, err := cache.New(cache.Options{
		Expiry:        expiry.Ahead(nil, 0), // from the first hit on, so that the example need not wait
		RefreshBudget: func(host string) (func(), bool) { return nil, left.Add(-1) >= 0 },
		Trace:         &cache.Trace{Refreshed: func(*http.Request, error) { refreshed <- struct{}{} }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	rt := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) {
		return reply(200, "x", "Cache-Control: max-age=60"), nil
	}))
	show(context.Background(), rt)
	show(context.Background(), rt)
	<-refreshed
	show(context.Background(), rt)
	fmt.Println(c.Stats().Ahead, "refreshed,", c.Stats().AheadRefused, "refused")
	// Output:
	// 200 miss
	// 200 hit
	// 200 hit
	// 1 refreshed, 1 refused
}

// The answers of a language model are streams. Asked the same again, the cache says the same, without a token spent; EventStreamsPaced would say it as slowly as the first time.
// The model's last word proves that an answer is whole.
func ExampleOptions_eventStreams() {
	c, err := cache.New(cache.Options{
		EventStreams: cache.EventStreamsAtOnce,
		Methods:      []string{"GET", "HEAD", "POST"},
		Key:          keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatJSON})),
		Expiry:       expiry.After(24 * time.Hour),
		FilterBody: func(_ *http.Request, _ *http.Response, body []byte) bool {
			return bytes.HasSuffix(body, []byte("data: [DONE]\n\n"))
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	model := roundTripper(func(*http.Request) (*http.Response, error) {
		return reply(200, "data: Hello\n\ndata: [DONE]\n\n", "Content-Type: text/event-stream"), nil
	})
	client := &http.Client{Transport: c.Middleware(model)}
	for range 2 {
		resp, err := client.Post("http://llm.example/v1/chat", "application/json", strings.NewReader(`{"ask": "Greet me", "stream": true}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(os.Stdout, resp.Body)
		resp.Body.Close()
		s, _ := cache.StatusOf(resp)
		fmt.Println(s.Outcome() + ": " + cmp.Or(s.Detail, "stored"))
	}
	// Output:
	// data: Hello
	//
	// data: [DONE]
	//
	// miss: stored
	// data: Hello
	//
	// data: [DONE]
	//
	// hit: event stream, at once
}
