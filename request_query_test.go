package ply_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestEquivalentQueriesShareACacheKey(t *testing.T) {
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Cache-Control": {"max-age=60"}}, "x")
	}}
	c := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{store.Middleware}})
	spellings := []string{"http://a.test/?q=hello world", "http://a.test/?q=hello%20world"}
	for _, deleted := range spellings {
		before := len(transport.got)
		for _, u := range spellings {
			require.NoError(t, ply.Discard(c.Get(t.Context(), u)))
		}
		if n := len(transport.got) - before; n != 1 {
			t.Errorf("the origin was asked %d times for one resource", n)
		}
		require.NoError(t, store.DeleteURL(t.Context(), deleted))
		if n := store.Stats().Entries; n != 0 {
			t.Errorf("DeleteURL of %s leaves %d entries", deleted, n)
		}
	}
}

// The query percent-encode set of the URL Standard.
func TestQueriesAreEscaped(t *testing.T) {
	for given, want := range map[string]string{
		"a=hello world":        "a=hello%20world",
		"a=ü&b=世":              "a=%C3%BC&b=%E4%B8%96",
		`a="<x>"`:              "a=%22%3Cx%3E%22",
		"a=%20%c3%BC+%zz%":     "a=%20%c3%BC+%zz%",
		"a='{[x]}'|\\^`&;/?:@": "a='{[x]}'|\\^`&;/?:@",
		"a\t\r\n\x00\x7f=\xff": "a%09%0D%0A%00%7F=%FF",
	} {
		transport := &recorder{}
		c := newClient(t, ply.Options{BaseURL: "http://a.test/x", Transport: transport})
		get(t, c, "", ply.RawQuery(given))
		if !strings.ContainsAny(given, "\t\r\n\x00\x7f") {
			get(t, c, "http://a.test/x?"+given)
		}
		u := &url.URL{Scheme: "http", Host: "a.test", Path: "/x", RawQuery: given}
		for _, do := range []func(*http.Request) (*http.Response, error){c.Do, c.RoundTrip, c.HTTPClient().Do} {
			require.NoError(t, ply.Discard(do(&http.Request{Method: http.MethodGet, URL: u})))
		}
		require.Equal(t, given, u.RawQuery, "the caller's URL is another one now")
		for _, got := range transport.got {
			if got.URL != "http://a.test/x?"+want {
				t.Errorf("%q: got %s, want %s", given, got.URL, want)
			}
		}
	}
}
