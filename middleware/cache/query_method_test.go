package cache_test

import (
	"github.com/plyhttp/ply/keying"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

// RFC 10008 §2.7.
func TestQueryMethodIsKeyedByContent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response { return reply(200, r.Method, "Cache-Control: max-age=60") }
		g := newRig(t, o, cache.Options{})
		query := func(content, mediaType string) got {
			r, _ := http.NewRequest("QUERY", url, strings.NewReader(content))
			r.Header.Set("Content-Type", mediaType)
			have, _ := g.send(r)
			return have
		}
		g.want(query("a", "text/plain"), 200, "QUERY", "miss", 1)
		g.want(query("a", "text/plain"), 200, "QUERY", "hit", 1)
		g.want(query("b", "text/plain"), 200, "QUERY", "miss", 2)
		g.want(query("a", "text/html"), 200, "QUERY", "miss", 3)
		have, _ := g.get(url)
		g.want(have, 200, "GET", "miss", 4)
		g.do("POST", url)
		g.want(query("a", "text/plain"), 200, "QUERY", "miss", 6)
		stream, _ := http.NewRequest("QUERY", url, io.MultiReader(strings.NewReader("a")))
		have, _ = g.send(stream)
		g.want(have, 200, "QUERY", "bypassed", 7)
	})
}

// RFC 9111 §4.3.2: content that can be sent only once is sent with the caller's own condition, and a 304 to it is the caller's.
func TestQueryMethodWithStreamedContentAndOwnCondition(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == `"mine"` {
				return reply(304, "", `Etag: "mine"`, "Cache-Control: max-age=60")
			}
			return reply(200, "x", `Etag: "a"`, "Cache-Control: max-age=60")
		}}
		g := newRig(t, o, cache.Options{Key: contentless{keying.New()}})
		stored, _ := http.NewRequest("QUERY", url, strings.NewReader("a"))
		g.send(stored)
		stream, _ := http.NewRequest("QUERY", url, io.MultiReader(strings.NewReader("a")))
		stream.Header.Set("If-None-Match", `"mine"`)
		stream.Header.Set("Cache-Control", "no-cache")
		have, _ := g.send(stream)
		if have.Status != 304 || len(o.asked) != 2 || o.asked[1].Header.Get("If-None-Match") != `"mine"` {
			t.Errorf("%v, the origin was asked with %v", have, o.asked[len(o.asked)-1].Header)
		}
	})
}
