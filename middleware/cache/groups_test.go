package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// RFC 9875.
func TestCacheGroupInvalidation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				return reply(200, "", `Cache-Group-Invalidation: "blog"`)
			}
			return reply(200, "x", "Cache-Control: max-age=60", `Cache-Groups: "news", "blog"`, `Cache-Group-Invalidation: "news"`)
		}}
		g := newRig(t, o, cache.Options{})
		g.get("http://h/a")
		g.get("http://h/b")
		g.get("http://other/a")
		have, _ := g.get("http://h/a") // a safe request invalidates nothing
		g.want(have, 200, "x", "hit", 3)
		g.do("POST", "http://h/c")
		have, _ = g.get("http://h/a")
		g.want(have, 200, "x", "miss", 5)
		have, _ = g.get("http://h/b")
		g.want(have, 200, "x", "miss", 6)
		have, _ = g.get("http://other/a") // a group of the same name, of another origin
		g.want(have, 200, "x", "hit", 6)
		require.NoError(t, g.DeleteGroup(t.Context(), "http://h/", "news"))
		have, _ = g.get("http://h/a")
		g.want(have, 200, "x", "miss", 7)
	})
}

// What names more groups than are looked at is about all groups of its origin, and about nothing that has none.
func TestCacheGroupInvalidationBeyondLimitCoversTheOrigin(t *testing.T) {
	for name, store := range map[string]store.Store{"memory": nil, "store": storetest.NewMap(1 << 20)} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				ended := 128
				o := &origin{answer: func(r *http.Request) *http.Response {
					switch {
					case r.Method == "POST":
						return reply(200, "", "Cache-Group-Invalidation: "+cache.Numbered(`"g%d"`, ended))
					case r.URL.Path == "/none":
						return reply(200, "x", "Cache-Control: max-age=60")
					}
					return reply(200, "x", "Cache-Control: max-age=60", `Cache-Groups: "other"`)
				}}
				g := newRig(t, o, cache.Options{Store: store})
				for _, url := range []string{"http://h/a", "http://h/none", "http://elsewhere/a"} {
					g.get(url)
					synctest.Wait()
				}
				g.do("POST", "http://h/c")
				have, _ := g.get("http://h/a")
				g.want(have, 200, "x", "hit", 4)
				ended = 129
				g.do("POST", "http://h/c")
				have, _ = g.get("http://h/none")
				g.want(have, 200, "x", "hit", 5)
				have, _ = g.get("http://elsewhere/a")
				g.want(have, 200, "x", "hit", 5)
				have, _ = g.get("http://h/a")
				g.want(have, 200, "x", "miss", 6)
			})
		})
	}
}
