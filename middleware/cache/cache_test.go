package cache_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/middleware/cache"
)

const url = "http://example.com/a"

func TestFreshResponseIsServedFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		first, _ := g.get(url)
		g.want(first, 200, "hello", "miss", 1)
		time.Sleep(10 * time.Second)
		second, resp := g.get(url)
		g.want(second, 200, "hello", "hit", 1)
		if age := resp.Header.Get("Age"); age != "10" {
			t.Errorf("Age = %q, want 10", age)
		}
		time.Sleep(51 * time.Second)
		third, _ := g.get(url)
		g.want(third, 200, "hello", "refreshed", 2)
	})
}

func TestStaleResponseIsValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == `"v1"` {
				return reply(304, "", "ETag: \"v1\"", "Cache-Control: max-age=60", "X-New: yes")
			}
			return reply(200, "one", "ETag: \"v1\"", "Cache-Control: max-age=5", "X-Old: yes")
		}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(6 * time.Second)
		second, resp := g.get(url)
		g.want(second, 200, "one", "revalidated", 2)
		if resp.Header.Get("X-Old") != "yes" || resp.Header.Get("X-New") != "yes" {
			t.Errorf("header after a 304: %v", resp.Header)
		}
		time.Sleep(50 * time.Second)
		third, _ := g.get(url)
		g.want(third, 200, "one", "hit", 2)
	})
}

func TestDisabledContextBypassesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		r, _ := http.NewRequest("GET", url, nil)
		off := cache.Disable(t.Context())
		have, _ := g.send(r.WithContext(off))
		g.want(have, 200, "hello", "bypassed", 2)
		have, _ = g.send(r.WithContext(cache.Enable(off)))
		g.want(have, 200, "hello", "hit", 2)
	})
}

func TestPrincipalsAndPartitionsShareNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		have, _ := g.get(url, "Authorization: Bearer a")
		g.want(have, 200, "hello", "miss", 2)
		have, _ = g.get(url, "Cookie: a=b")
		g.want(have, 200, "hello", "miss", 3)
		have, _ = g.get(url, "authorization: Bearer a")
		g.want(have, 200, "hello", "hit", 3)
		r, _ := http.NewRequestWithContext(connection.With(t.Context(), &connection.Choice{Base: &connection.Identity{}, Own: &connection.Identity{Name: "unverified"}}), "GET", url, nil)
		have, _ = g.send(r)
		g.want(have, 200, "hello", "miss", 4)
		have, _ = g.send(r)
		g.want(have, 200, "hello", "hit", 4)
	})
}

func TestUnsafeMethodInvalidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		g.get(url, "Authorization: a")
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "hello", "miss", 4)
		have, _ = g.get(url, "Authorization: a")
		g.want(have, 200, "hello", "miss", 5)
	})
}

func TestForgedCacheStatusIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Status: ply; hit", "Cache-Status: cdn; hit"), cache.Options{})
		have, resp := g.get(url)
		g.want(have, 200, "hello", "miss", 1)
		if values := strings.Join(resp.Header["Cache-Status"], ", "); !strings.HasPrefix(values, "cdn; hit, ply; fwd=uri-miss") {
			t.Errorf("Cache-Status = %q", values)
		}
	})
}

func TestIncompleteBodyIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "hello", "Cache-Control: max-age=60")
			resp.ContentLength = 10
			return resp
		}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "hello", "miss", 2)
	})
}

func TestBodyBeyondLimitStreamsAndIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := strings.Repeat("x", 101)
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, large, "Cache-Control: max-age=60")
			resp.ContentLength = -1
			return resp
		}}
		g := newRig(t, o, cache.Options{MaxEntryBytes: 100})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, large, "miss", 2)
	})
}

type pipe struct{ io.Reader }

func (pipe) Write(p []byte) (int, error) { return len(p), nil }
func (pipe) Close() error                { return nil }

func TestUpgradeIsForwardedUntouched(t *testing.T) {
	body := pipe{strings.NewReader("")}
	o := &origin{answer: func(*http.Request) *http.Response {
		resp := reply(101, "")
		resp.Body = body
		return resp
	}}
	g := newRig(t, o, cache.Options{})
	r, _ := http.NewRequest("GET", url, nil)
	r.Header.Set("Upgrade", "websocket")
	resp, err := g.rt.RoundTrip(r)
	require.NoError(t, err)
	if _, ok := resp.Body.(io.Writer); !ok {
		t.Error("the body of a 101 must stay writable")
	}
}

func TestEventStreamIsForwardedAsItArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, server := io.Pipe()
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "", "Content-Type: text/event-stream", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = events, -1
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		go server.Write([]byte("data: 1\n\n"))
		buf := make([]byte, 100)
		n, err := resp.Body.Read(buf)
		require.NoError(t, err)
		if got := string(buf[:n]); got != "data: 1\n\n" {
			t.Errorf("read %q before the stream ended", got)
		}
		resp.Body.Close()
	})
}

func TestStaleWhileRevalidateRefreshesInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := says("hello", "Cache-Control: max-age=5, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(6 * time.Second)
		o.delay = time.Second
		for range 3 {
			have, _ := g.get(url)
			if have.Outcome != "stale" {
				t.Errorf("outcome %q, want stale", have.Outcome)
			}
		}
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "hello", "hit", 2)
	})
}

func TestStaleIfErrorServesStaleForAFailedOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := says("hello", "Cache-Control: max-age=5, stale-if-error=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(6 * time.Second)
		o.err = errors.New("connection refused")
		have, _ := g.get(url)
		g.want(have, 200, "hello", "stale", 2)
		o.err = nil
		o.answer = func(*http.Request) *http.Response { return reply(503, "down") }
		have, _ = g.get(url)
		g.want(have, 200, "hello", "stale", 3)
		time.Sleep(60 * time.Second)
		have, _ = g.get(url)
		g.want(have, 503, "down", "refreshed", 4)
	})
}
