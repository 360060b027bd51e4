package ply_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// What Prepare returns is what a layer of a call sees.
func TestPrepareReturnsWhatLayersSee(t *testing.T) {
	jar := must(cookiejar.New(nil))
	jar.SetCookies(must(url.Parse("https://api.example/")), []*http.Cookie{{Name: "session", Value: "1"}})
	options := map[string]ply.Options{
		"nothing":  {},
		"base":     {BaseURL: "https://api.example/v1/"},
		"fields":   {BaseURL: "https://api.example/v1/", Header: http.Header{"X-Team": {"a"}}},
		"defaults": {BaseURL: "https://api.example/v1/", Defaults: []ply.RequestOption{ply.Bearer("secret"), ply.Query("key", "k"), ply.Query("page", "1")}},
		"jar":      {BaseURL: "https://api.example/v1/", Jar: jar, Defaults: []ply.RequestOption{ply.SetHeader("Cookie", "a=b")}},
	}
	requests := map[string]func() *http.Request{
		"relative": func() *http.Request { return must(http.NewRequest("GET", "users?page=2", nil)) },
		"absolute": func() *http.Request { return must(http.NewRequest("GET", "https://api.example/v1/users", nil)) },
		"another origin": func() *http.Request {
			return must(http.NewRequest("GET", "https://user:pw@other.example/", nil))
		},
		"content": func() *http.Request { return must(http.NewRequest("POST", "users", strings.NewReader("x"))) },
	}
	for name, o := range options {
		for kind, request := range requests {
			t.Run(name+", "+kind, func(t *testing.T) {
				if req := request(); !req.URL.IsAbs() && o.BaseURL == "" {
					c := must(ply.New(o))
					_, err := c.Prepare(req)
					var wrong *ply.OptionError
					require.ErrorAs(t, err, &wrong)
					return
				}
				var layer seen
				o.Transport = new(recorder)
				o.Use = []ply.Middleware{func(next ply.Handler) ply.Handler {
					return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
						layer = seen{Method: r.Method, URL: r.URL.String(), Host: r.Host, Header: r.Header.Clone()}
						return next.RoundTrip(r)
					})
				}}
				c := must(ply.New(o))
				req := request()
				before := seen{Method: req.Method, URL: req.URL.String(), Host: req.Host, Header: req.Header.Clone()}
				prepared, err := c.Prepare(req)
				require.NoError(t, err)
				got := seen{Method: prepared.Method, URL: prepared.URL.String(), Host: prepared.Host, Header: prepared.Header.Clone()}
				after := seen{Method: req.Method, URL: req.URL.String(), Host: req.Host, Header: req.Header.Clone()}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the request was changed (-before +after)\n%s", diff)
				}
				require.NoError(t, ply.Discard(c.Do(req)))
				if diff := cmp.Diff(layer, got); diff != "" {
					t.Errorf("prepared (-as a layer sees it +got)\n%s", diff)
				}
			})
		}
	}
}

// Delete removes the entry of a client's request only if it gets the prepared request.
func TestDeleteOfAPreparedRequestRemovesItsEntry(t *testing.T) {
	jar := must(cookiejar.New(nil))
	jar.SetCookies(must(url.Parse("https://api.example/")), []*http.Cookie{{Name: "session", Value: "1"}})
	stored := must(cache.New(cache.Options{}))
	origin := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Cache-Control": {"max-age=60"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}, "x")
	}}
	c := must(ply.New(ply.Options{
		BaseURL: "https://api.example/v1/", Jar: jar, Transport: origin, Use: []ply.Middleware{stored.Middleware},
		Defaults: []ply.RequestOption{ply.Bearer("secret"), ply.Query("lang", "en")},
	}))
	request := func() *http.Request { return must(http.NewRequestWithContext(t.Context(), "GET", "me", nil)) }
	get := func() int {
		_, err := ply.Text(c.Do(request()))
		require.NoError(t, err)
		return len(origin.got)
	}
	require.Equal(t, 1, get())
	require.Equal(t, 1, get())
	require.Error(t, stored.Delete(t.Context(), request()))
	prepared := must(c.Prepare(request()))
	require.True(t, stored.Contains(prepared))
	require.NoError(t, stored.Delete(t.Context(), prepared))
	require.False(t, stored.Contains(prepared))
	require.Equal(t, 2, get())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleClient_Prepare() {
	server := hello()
	defer server.Close()
	c, err := cache.New(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := ply.New(ply.Options{
		BaseURL: server.URL, Use: []ply.Middleware{c.Middleware}, Defaults: []ply.RequestOption{ply.Bearer("token")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The cache's key has the base URL and the credentials in it, which the client adds.
	req, err := client.NewRequest(context.Background(), http.MethodGet, "/me")
	if err != nil {
		fmt.Println(err)
		return
	}
	sent, err := client.Prepare(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.URL.Path, sent.Header.Get("Authorization"))
	fmt.Println(c.Delete(context.Background(), sent))
	// Output:
	// /me Bearer token
	// <nil>
}
