package cache_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestHeadIsAnsweredFromStoredGet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60", "Content-Length: 5"), cache.Options{})
		have, _ := g.do("HEAD", url)
		g.want(have, 200, "hello", "miss", 1) // this origin sends content, which a transport would not
		g.get(url)
		have, resp := g.do("HEAD", url)
		g.want(have, 200, "", "hit", 2)
		if resp.ContentLength != 5 || resp.Header.Get("Content-Length") != "5" {
			t.Errorf("length %d, header %v", resp.ContentLength, resp.Header)
		}
	})
}

// RFC 9111 §4.3.5.
func TestHeadFreshensOrInvalidates(t *testing.T) {
	for _, test := range []struct {
		name, head, outcome string
	}{
		{"same", "X-A: 2", "hit"},
		{"other tag", `Etag: "b"`, "miss"},
		{"other length", "Content-Length: 6", "miss"},
		{"other date", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "miss"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(r *http.Request) *http.Response {
					if r.Method == "HEAD" {
						resp := reply(200, "", "Cache-Control: max-age=60", test.head)
						resp.ContentLength = -1
						return resp
					}
					return reply(200, "hello", "Cache-Control: max-age=60", `X-A: 1`)
				}}
				g := newRig(t, o, cache.Options{})
				g.get(url)
				time.Sleep(50 * time.Second)
				r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReload), "HEAD", url, nil)
				g.send(r)
				time.Sleep(50 * time.Second)
				have, resp := g.get(url)
				if have.Outcome != test.outcome {
					t.Errorf("outcome %s, want %s", have.Outcome, test.outcome)
				}
				if test.outcome == "hit" && resp.Header.Get("X-A") != "2" {
					t.Errorf("header %v", resp.Header)
				}
			})
		})
	}
}

// RFC 9111 §4.3.5: what HEAD says of a resource that exists cannot make a stored 404 fresh.
func TestHeadWith200InvalidatesStored404(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(reply(404, "none", "Cache-Control: max-age=1"), reply(200, "", "Cache-Control: max-age=60"), reply(200, "some")), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		g.do("HEAD", url)
		have, _ := g.get(url)
		g.want(have, 200, "some", "miss", 3)
	})
}

// RFC 9110 §9.3.2: GET would be answered as HEAD is. An error says nothing about what is stored.
func TestHeadWith404Or410InvalidatesStoredGet(t *testing.T) {
	for status, outcome := range map[int]string{410: "miss", 404: "miss", 301: "miss", 403: "hit", 503: "hit"} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(200, "x", "Cache-Control: max-age=60"), reply(status, "")), cache.Options{})
			g.get(url)
			g.do("HEAD", url, "Cache-Control: no-cache")
			if have, _ := g.get(url); have.Outcome != outcome {
				t.Errorf("after a %d to HEAD: %v, want %s", status, have, outcome)
			}
		})
	}
}
