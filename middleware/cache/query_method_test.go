package cache_test

import (
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
