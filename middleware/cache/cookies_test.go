package cache_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// What is stored sets no cookies, however it comes to be the answer. What the origin says now does.
func TestCookiesAreNotReplayedByHits(t *testing.T) {
	const good = "Cache-Control: max-age=10, stale-while-revalidate=20, stale-if-error=600"
	for _, test := range []struct {
		name    string
		first   *http.Response
		later   *http.Response
		wait    time.Duration
		method  string
		request string
		outcome string
		want    string // cookies of the second answer, in this cache's and in a replaying one
		replays string
	}{
		{"hit", reply(200, "x", good), reply(500, ""), 0, "GET", "X: y", "hit", "", "a=1"},
		{"hit of a HEAD", reply(200, "x", good), reply(500, ""), 0, "HEAD", "X: y", "hit", "", "a=1"},
		{"a part", reply(200, "xyz", good), reply(500, ""), 0, "GET", "Range: bytes=0-0", "hit", "", "a=1"},
		{"the caller's condition", reply(200, "x", good, `Etag: "v"`), reply(500, ""), 0, "GET", `If-None-Match: "v"`, "hit", "", "a=1"},
		{"a redirect", reply(301, "", good, "Location: /b"), reply(500, ""), 0, "GET", "X: y", "hit", "", "a=1"},
		{"an error", reply(404, "", good), reply(500, ""), 0, "GET", "X: y", "hit", "", "a=1"},
		{"stale", reply(200, "x", good), reply(500, ""), 20 * time.Second, "GET", "X: y", "stale", "", "a=1"},
		{"instead of an error", reply(200, "x", good), reply(503, "", "Set-Cookie: a=2"), 60 * time.Second, "GET", "X: y", "stale", "", "a=1"},
		{"confirmed", reply(200, "x", good, `Etag: "v"`), reply(304, "", good, `Etag: "v"`), 60 * time.Second, "GET", "X: y", "revalidated", "", "a=1"},
		{"confirmed with a cookie", reply(200, "x", good, `Etag: "v"`), reply(304, "", good, `Etag: "v"`, "Set-Cookie: a=2"), 60 * time.Second, "GET", "X: y", "revalidated", "a=2", "a=2"},
		{"confirmed by HEAD with a cookie", reply(200, "x", good, `Etag: "v"`), reply(200, "", good, `Etag: "v"`, "Set-Cookie: a=2"), 60 * time.Second, "HEAD", "Cache-Control: no-cache", "refreshed", "a=2", "a=2"},
		{"replaced", reply(200, "x", good), reply(200, "y", good, "Set-Cookie: a=2"), 60 * time.Second, "GET", "X: y", "refreshed", "a=2", "a=2"},
	} {
		for _, replaying := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				first, later := *test.first, *test.later
				first.Header, later.Header = first.Header.Clone(), later.Header.Clone()
				first.Header["Set-Cookie"] = []string{"a=1"}
				first.Body, later.Body = io.NopCloser(strings.NewReader("xyz"[:first.ContentLength])), io.NopCloser(strings.NewReader("xyz"[:later.ContentLength]))
				g := newRig(t, inOrder(&first, &later), cache.Options{ReplayCookies: replaying})
				if _, resp := g.get(url); resp.Header.Get("Set-Cookie") != "a=1" {
					t.Errorf("%s: the origin's cookie has not come", test.name)
				}
				time.Sleep(test.wait)
				have, resp := g.do(test.method, url, test.request)
				if have.Outcome != test.outcome {
					t.Errorf("%s: %v", test.name, have)
				}
				want := test.want
				if replaying {
					want = test.replays
				}
				if got := strings.Join(resp.Header["Set-Cookie"], ", "); got != want {
					t.Errorf("%s, replaying %v: cookies %q, want %q", test.name, replaying, got, want)
				}
				for e := range g.Entries(t.Context()) {
					if got := e.Header()["Set-Cookie"]; !replaying && got != nil || slices.Contains(got, "a=2") && later.StatusCode != 200 {
						t.Errorf("%s, replaying %v: stored cookies %q", test.name, replaying, got)
					}
				}
			})
		}
	}
}

// The jar of a client keeps what a login has put into it since then.
func TestCookiesOfALaterLoginSurviveHits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, err := cache.New(cache.Options{Key: keying.SingleUser()})
		require.NoError(t, err)
		defer c.Close()
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar, Transport: c.Middleware(&origin{answer: func(r *http.Request) *http.Response {
			if r.URL.Path == "/login" {
				return reply(200, "", "Set-Cookie: sid=user7; Path=/")
			}
			return reply(200, "", "Cache-Control: max-age=60", "Set-Cookie: sid=anonymous; Path=/")
		}})}
		var last *http.Response
		for _, path := range []string{"/home", "/login", "/home"} {
			last, err = client.Get("http://example.com" + path)
			require.NoError(t, err)
			readAll(last)
		}
		if cookies := jar.Cookies(last.Request.URL); len(cookies) != 1 || cookies[0].Value != "user7" || c.Stats().Hits != 1 {
			t.Errorf("cookies %v, %+v", cookies, c.Stats())
		}
	})
}

// Those who share the exchange of another get the answer without its cookies, which are that one's.
func TestCookiesReachTheLeaderOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "Set-Cookie: a=1")
		o.delay = time.Second
		g := newRig(t, o, cache.Options{})
		var mu sync.Mutex
		with, without := 0, 0
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				r, _ := http.NewRequestWithContext(context.Background(), "GET", url, nil)
				resp, err := g.rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				readAll(resp)
				mu.Lock()
				defer mu.Unlock()
				if resp.Header.Get("Set-Cookie") != "" {
					with++
				} else {
					without++
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if with != 1 || without != 4 {
			t.Errorf("%d with the cookie, %d without", with, without)
		}
	})
}

// A byte store may hold cookies that another process wants, or that an older version has put there.
func TestCookiesInRecordsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		shared := storetest.NewMap(1 << 20)
		one := newRig(t, says("x", "Cache-Control: max-age=60", "Set-Cookie: a=1"), cache.Options{Store: shared, ReplayCookies: true})
		one.get(url)
		other := newRig(t, says("y"), cache.Options{Store: shared})
		for g, want := range map[*rig]string{one: "a=1", other: ""} {
			have, resp := g.get(url)
			if got := resp.Header.Get("Set-Cookie"); have.Outcome != "hit" || got != want {
				t.Errorf("%v with %q, want %q", have, got, want)
			}
		}
	})
}

// The answer that the origin completes carries the cookies that come with the rest.
func TestCookiesComeWithACompletion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(
			reply(206, "abc", `Etag: "v"`, "Content-Range: bytes 0-2/6", "Cache-Control: max-age=60", "Set-Cookie: a=1"),
			reply(206, "def", `Etag: "v"`, "Content-Range: bytes 3-5/6", "Set-Cookie: a=2")), cache.Options{})
		g.get(url, "Range: bytes=0-2")
		have, resp := g.get(url)
		g.want(have, 200, "abcdef", "miss", 2)
		if got := strings.Join(resp.Header["Set-Cookie"], ", "); got != "a=2" {
			t.Errorf("cookies %q", got)
		}
	})
}
