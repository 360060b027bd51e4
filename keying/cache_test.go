package keying_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// Each part of a key inside a cache, on both sides of what it separates: whether the second of two requests gets what is stored for the first,
// and how often the origin was asked.
func TestStrategiesInsideACache(t *testing.T) {
	js := "Content-Type: application/json"
	get := func(url string, fields ...string) *http.Request { return request(t, "GET "+url, fields...) }
	query := func(content string, fields ...string) *http.Request {
		return request(t, "QUERY http://h/", append(append([]string{js}, fields...), "", content)...)
	}
	failing := errors.New("nothing is known of the user")
	user := keying.Principal(func(r *http.Request) (string, error) {
		if r.Header.Get("X-User") == "" {
			return "", failing
		}
		return r.Header.Get("X-User"), nil
	})
	for _, test := range []struct {
		name        string
		key         keying.Strategy
		first, then *http.Request
		want        string // the outcome of the second request
		asked       int
	}{
		{"one user", keying.Default(), get("http://h/", "Cookie: a"), get("http://h/", "Cookie: a"), "hit", 1},
		{"two users", keying.Default(), get("http://h/", "Cookie: a"), get("http://h/", "Cookie: b"), "miss", 2},
		{"two users, the second by a field filled by hand", keying.Default(), get("http://h/"), get("http://h/", "cookie: b"), "miss", 2},
		{"SingleUser", keying.SingleUser(), get("http://h/", "Cookie: a"), get("http://h/", "Cookie: b"), "hit", 1},
		{"IgnoreCredentials", keying.New(keying.IgnoreCredentials()), get("http://h/", "Cookie: a"), get("http://h/", "Cookie: b"), "hit", 1},
		{"Principal, one", keying.New(user), get("http://h/", "X-User: ann", "Cookie: a"), get("http://h/", "X-User: ann", "Cookie: b"), "hit", 1},
		{"Principal, another", keying.New(user), get("http://h/", "X-User: ann"), get("http://h/", "X-User: bob"), "miss", 2},
		{"Principal, an error", keying.New(user), get("http://h/"), get("http://h/"), "bypassed", 2},
		{"Method, one", keying.New(keying.Method(), keying.Body(keying.BodyOptions{})), request(t, "POST http://h/", "", "x"), request(t, "POST http://h/", "", "x"), "hit", 1},
		{"Method, another", keying.New(keying.Method(), keying.Body(keying.BodyOptions{})), request(t, "POST http://h/", "", ""), get("http://h/"), "miss", 2},
		{"Header, one", keying.New(keying.Header("X-V")), get("http://h/", "X-V: 1"), get("http://h/", "X-V: 1", "X: 2"), "hit", 1},
		{"Header, another", keying.New(keying.Header("X-V")), get("http://h/", "X-V: 1"), get("http://h/", "X-V: 2"), "miss", 2},
		{"AllHeaders, left out", keying.New(keying.AllHeaders("X-Trace")), get("http://h/", "X-Trace: 1"), get("http://h/", "X-Trace: 2"), "hit", 1},
		{"AllHeaders, another", keying.New(keying.AllHeaders("X-Trace")), get("http://h/", "X-V: 1"), get("http://h/", "X-V: 2"), "miss", 2},
		{"Ignore, ignored", keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}})), get("http://h/?t=1"), get("http://h/?t=2"), "hit", 1},
		{"Ignore, another", keying.New(keying.URL(keying.URLOptions{Ignore: []string{"t"}})), get("http://h/?a=1"), get("http://h/?a=2"), "miss", 2},
		{"Only, others", keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}})), get("http://h/?a=1&t=1"), get("http://h/?a=1&t=2"), "hit", 1},
		{"Only, named", keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}})), get("http://h/?a=1"), get("http://h/?a=2"), "miss", 2},
		{"Only, a secret parameter", keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}})), get("http://h/?a=1&api_key=x"), get("http://h/?a=1&api_key=y"), "miss", 2},
		{"Sort, names", keying.New(keying.URL(keying.URLOptions{Sort: true})), get("http://h/?a=1&b=2"), get("http://h/?b=2&a=1"), "hit", 1},
		{"Sort, values of one name", keying.New(keying.URL(keying.URLOptions{Sort: true})), get("http://h/?a=1&a=2"), get("http://h/?a=2&a=1"), "miss", 2},
		{"Paths, matching", keying.New(keying.URL(keying.URLOptions{Paths: []string{"/s/*/app.js"}})), get("http://h/s/1/app.js"), get("http://h/s/2/app.js"), "hit", 1},
		{"Paths, another file", keying.New(keying.URL(keying.URLOptions{Paths: []string{"/s/*/app.js"}})), get("http://h/s/1/app.js"), get("http://h/s/1/b.js"), "miss", 2},
		{"Hosts, an alias", keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"Mirror": "h"}})), get("http://h/"), get("http://MIRROR/"), "hit", 1},
		{"Hosts, another", keying.New(keying.URL(keying.URLOptions{Hosts: map[string]string{"Mirror": "h"}})), get("http://h/"), get("http://other/"), "miss", 2},
		{"Prefix", keying.New(keying.Prefix("v1")), get("http://h/"), get("http://h/"), "hit", 1},
		{"Body, one meaning", keying.New(keying.Body(keying.BodyOptions{})), query(`{"a":1,"b":2}`), query(`{"b": 2, "a": 1}`), "hit", 1},
		{"Body, another", keying.New(keying.Body(keying.BodyOptions{})), query(`{"a":1}`), query(`{"a":2}`), "miss", 2},
		{"Body, raw", keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatRaw})), query(`{"a":1}`), query(`{"a": 1}`), "miss", 2},
		{"Body, an ignored member", keying.New(keying.Body(keying.BodyOptions{Ignore: []string{"id"}})), query(`{"a":1,"id":1}`), query(`{"a":1,"id":2}`), "hit", 1},
		{"Body, too long for a key", keying.New(keying.Body(keying.BodyOptions{MaxBytes: 3})), query(`{"a":1}`), query(`{"a":1}`), "bypassed", 2},
		{"GraphQL, one query", keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})), query(`{"query":"{ a }"}`), query(`{"query":"{a}"}`), "hit", 1},
		{"GraphQL, another", keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})), query(`{"query":"{ a }"}`), query(`{"query":"{ b }"}`), "miss", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := cache.New(cache.Options{Key: test.key, Methods: []string{"GET", "HEAD", "QUERY", "POST"}})
			require.NoError(t, err)
			defer c.Close()
			origin := plytest.NewOrigin(plytest.Text("hello", "Cache-Control", "max-age=60"))
			rt := c.Middleware(origin)
			var got string
			for _, r := range []*http.Request{test.first, test.then} {
				resp, err := rt.RoundTrip(r)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				resp.Body.Close()
				status, _ := cache.StatusOf(resp)
				got = status.Outcome()
			}
			if got != test.want || origin.Count() != test.asked {
				t.Errorf("%s after %d requests to the origin, want %s after %d", got, origin.Count(), test.want, test.asked)
			}
		})
	}
}

// A version in the key makes what another version stored unreachable, in one store.
func TestPrefixSeparatesCachesOfOneStore(t *testing.T) {
	memory := cache.NewMemory(cache.MemoryOptions{})
	origin := plytest.NewOrigin(plytest.Text("hello", "Cache-Control", "max-age=60"))
	for _, version := range []string{"v1", "v2", "v1"} {
		c, err := cache.New(cache.Options{Store: memory, Key: keying.New(keying.Prefix(version))})
		require.NoError(t, err)
		resp, err := c.Middleware(origin).RoundTrip(request(t, "GET http://h/"))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.NoError(t, c.Close())
	}
	if origin.Count() != 2 {
		t.Errorf("the origin was asked %d times for two versions", origin.Count())
	}
}

// A GraphQL mutation has the method of a query. It is told by its content, is never answered from the store, and invalidates what is stored.
func TestGraphQLMutationInvalidatesInsideACache(t *testing.T) {
	graphQL := func(document string) *http.Request {
		return request(t, "POST http://h/", "Content-Type: application/json", "", `{"query":"`+document+`"}`)
	}
	c, err := cache.New(cache.Options{Methods: []string{"POST"}, Key: keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))})
	require.NoError(t, err)
	defer c.Close()
	origin := plytest.NewOrigin(plytest.Text("{}", "Cache-Control", "max-age=60"))
	var got []string
	for _, document := range []string{"{a}", "{ a }", "mutation { b }", "{a}", "mutation { b }"} {
		resp, err := c.Middleware(origin).RoundTrip(graphQL(document))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		status, _ := cache.StatusOf(resp)
		got = append(got, status.Outcome())
	}
	require.Equal(t, []string{"miss", "hit", "bypassed", "miss", "bypassed"}, got)
}
