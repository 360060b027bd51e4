package cache

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

func cacheKeyed(tb testing.TB, by keying.Strategy) *Cache {
	tb.Helper()
	c, err := New(Options{Key: by})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// A GET without credentials has a short way to its key. It is the key that the long way makes, whatever the request is.
func TestKeyFastPathEqualsFullKey(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	caches := [...]*Cache{cacheKeyed(t, keying.Default()), cacheKeyed(t, keying.SingleUser()), cacheKeyed(t, keying.New(keying.Method()))}
	if !caches[0].byURI || !caches[1].byURI || caches[2].byURI {
		t.Fatal("the wrong strategies have a short way to their keys")
	}
	short := 0
	for i := range 20_000 {
		c := caches[i%len(caches)]
		r := &http.Request{
			Method: pick("GET", "GET", "GET", "", "HEAD", "QUERY", "POST"), Header: http.Header{},
			URL: &url.URL{Scheme: pick("http", "HTTPS", "https"), Host: pick("h", "H:80", "[::1]:443", ""), Path: pick("", "/", "/a b", "/a/../b", "/.c")},
		}
		if random.IntN(10) == 0 {
			r.URL.User = url.User("u")
		}
		if name := pick("", "", "Authorization", "COOKIE", "cookie2", "X-Api-Key", "Accept", "Range"); name != "" {
			r.Header[name] = []string{pick("", "a", "no-cache")}
		}
		if i%7 == 0 {
			r = r.WithContext(connection.With(t.Context(), &connection.Choice{Base: &connection.Identity{}, Own: &connection.Identity{Name: "other"}}))
		}
		if i%5 == 0 {
			r = r.WithContext(WithPrincipal(r.Context(), "alice"))
		}
		var a rfc9111.Request
		c.read(&a, r, &connection.Chain{})
		want, err := c.appendKey(nil, r, a.Path)
		if err != nil {
			t.Fatal(err)
		}
		got := c.anonymousKey([]byte{}, &a, r)
		if got != nil && string(got) != string(want) {
			t.Fatalf("%s %v %v: key %q, want %q", r.Method, r.URL, r.Header, got, want)
		}
		if got != nil {
			short++
		}
	}
	if short < 2000 {
		t.Errorf("%d keys are made the short way", short)
	}
}
