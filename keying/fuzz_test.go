package keying_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
)

// FuzzDefault checks that a key is stable, and different for different queries and hosts.
func FuzzDefault(f *testing.F) {
	f.Add("/a", "b=c", "/ab", "=c")
	f.Add("/a/../b", "", "/b", "%7e")
	f.Fuzz(func(t *testing.T, path1, query1, path2, query2 string) {
		one := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: query1}}
		two := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path2, RawQuery: query2}}
		k1, k2 := key(t, keying.Default(), one), key(t, keying.Default(), two)
		if k1 != key(t, keying.Default(), one) {
			t.Fatal("a key must be stable")
		}
		plain := func(s string) bool { return !strings.ContainsAny(s, "%./") }
		if plain(path1) && plain(path2) && plain(query1) && plain(query2) {
			if same := path1 == path2 && query1 == query2; same != (k1 == k2) {
				t.Fatalf("%q?%q and %q?%q: same key = %v", path1, query1, path2, query2, k1 == k2)
			}
		}
		params := strings.Split(query1, "&")
		slices.SortStableFunc(params, func(a, b string) int {
			return strings.Compare(strings.SplitN(b, "=", 2)[0], strings.SplitN(a, "=", 2)[0])
		})
		other := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: strings.Join(params, "&")}}
		sorted := keying.New(keying.URL(keying.URLOptions{Sort: true}))
		if !strings.ContainsAny(query1, "%+") && key(t, sorted, one) != key(t, sorted, other) {
			t.Fatalf("the order of %q makes a difference", query1)
		}
	})
}
