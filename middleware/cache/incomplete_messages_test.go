package cache_test

import (
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestResponseWithoutHeaderMap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, err := cache.New(cache.Options{Expiry: expiry.After(time.Hour)})
		require.NoError(t, err)
		rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Request: r}, nil
		}))
		for range 2 {
			r, _ := http.NewRequest("GET", url, nil)
			resp, err := rt.RoundTrip(r)
			require.NoError(t, err)
			readAll(resp)
		}
		if c.Stats().Hits != 1 {
			t.Errorf("stats %+v", c.Stats())
		}
	})
}

// A response that net/http has decompressed stays marked as such.
func TestDecompressedResponseStaysMarkedUncompressed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "hello", "Cache-Control: max-age=60")
			resp.Uncompressed, resp.ContentLength = true, -1
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, resp := g.get(url)
		g.want(have, 200, "hello", "hit", 1)
		if !resp.Uncompressed || resp.ContentLength != -1 {
			t.Errorf("Uncompressed %v, ContentLength %d", resp.Uncompressed, resp.ContentLength)
		}
	})
}

// A request made by hand may have no method, no header and no body.
func TestRequestWithoutMethodHeaderOrBody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=1", `Etag: "a"`, "Vary: A")
		g := newRig(t, o, cache.Options{})
		u, _ := neturl.Parse(url)
		for _, want := range []string{"miss", "hit", "stale", "refreshed"} {
			if have, _ := g.send(&http.Request{URL: u}); have.Outcome != want {
				t.Errorf("%v, want %s", have, want)
			}
			switch want {
			case "hit":
				time.Sleep(1500 * time.Millisecond)
			case "stale":
				time.Sleep(5 * time.Second)
			}
		}
		synctest.Wait()
	})
}

// A handler that makes its responses by hand may leave out the length.
func TestResponseWithoutContentLength(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader("hello"))}
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "hello", "hit", 1)
	})
}
