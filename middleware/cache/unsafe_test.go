package cache_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestUnsafeMethodIsNotAnsweredFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		for i, method := range []string{"POST", "POST", "PUT", "PUT", "DELETE", "PATCH", "get", "OPTIONS", "OPTIONS"} {
			have, _ := g.do(method, url)
			g.want(have, 200, "x", "bypassed", i+1)
		}
	})
}

// A request that names another method in a field is not what its own method says: it passes the cache by, and invalidates as the other does.
func TestMethodOverrideFieldBypassesAndInvalidates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-Http-Method-Override", "x-http-method-override", "X-HTTP-Method", "X-Method-Override", "X-Tunnel-Method"} {
			g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{})
			send := func(method string) got {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h/a", nil)
				if method != "" {
					r.Header[name] = []string{method}
				}
				have, _ := g.send(r)
				return have
			}
			g.want(send("DELETE"), 200, "1", "bypassed", 1)
			g.want(send(""), 200, "2", "miss", 2)
			g.want(send("PROPFIND"), 200, "3", "bypassed", 3)
			g.want(send(""), 200, "2", "hit", 3)
			g.want(send("delete"), 200, "4", "bypassed", 4)
			g.want(send(""), 200, "5", "miss", 5)
		}
	})
}

// What the user says is unsafe is sent each time, whatever its key.
func TestUnsafeOptionSendsEachRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Methods: []string{"GET", "POST"}, Unsafe: saying("run")})
		g.get(url)
		for i := range 2 {
			g.want(g.ask(url, "run"), 200, "x", "bypassed", i+2)
		}
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 4)
		g.ask(url, "ask")
		g.want(g.ask(url, "ask"), 200, "x", "hit", 5)
	})
}
