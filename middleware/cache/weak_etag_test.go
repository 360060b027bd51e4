package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// nginx weakens the tag of what it compresses, and does not compress 304s and answers to HEAD. One candidate was asked about, so that is meant.
func TestWeakenedETagIn304Confirms(t *testing.T) {
	for _, tags := range [][2]string{{`W/"x"`, `"x"`}, {`"x"`, `W/"x"`}, {`W/"x"`, `W/"x"`}, {`"x"`, `"x"`}} {
		for _, behind := range []string{"", ", stale-while-revalidate=600"} {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(r *http.Request) *http.Response {
					if r.Header.Get("If-None-Match") != "" {
						return reply(304, "", "Cache-Control: max-age=10"+behind, "Etag: "+tags[1])
					}
					return reply(200, "body", "Cache-Control: max-age=10"+behind, "Etag: "+tags[0], "Vary: Accept-Encoding")
				}}
				g := newRig(t, o, cache.Options{})
				g.get(url)
				for n := range 3 {
					time.Sleep(20 * time.Second)
					g.get(url)
					time.Sleep(time.Second)
					synctest.Wait()
					have, _ := g.get(url)
					g.want(have, 200, "body", "hit", n+2)
				}
			})
		}
	}
}

// A tag that no response has confirms none, in front or behind.
func TestWeakenedETagOfAnotherResponseConfirmsNothing(t *testing.T) {
	for _, tags := range [][2]string{{`W/"x"`, `"y"`}, {`W/"x"`, `W/"y"`}, {`"x"`, `W/"y"`}} {
		for _, behind := range []string{"", ", stale-while-revalidate=600"} {
			inBubble(t, func(t *testing.T) {
				o := &origin{}
				o.answer = func(r *http.Request) *http.Response {
					switch {
					case len(o.asked) == 1:
						return reply(200, "old", "Cache-Control: max-age=10"+behind, "Etag: "+tags[0])
					case r.Header.Get("If-None-Match") != "":
						return reply(304, "", "Cache-Control: max-age=600", "Etag: "+tags[1])
					}
					return reply(200, "new", "Cache-Control: max-age=600", "Etag: "+tags[1])
				}
				g := newRig(t, o, cache.Options{})
				g.get(url)
				time.Sleep(20 * time.Second)
				g.get(url)
				time.Sleep(time.Second)
				synctest.Wait()
				have, _ := g.get(url)
				g.want(have, 200, "new", "hit", 3)
			})
		}
	}
}

// RFC 9111 §4.3.5: a HEAD that is answered without compression, with the strong tag and the length of other bytes, says nothing against the stored GET.
func TestHeadWithStrongETagKeepsWeakStoredResponse(t *testing.T) {
	for _, test := range []struct {
		head    []string
		outcome string
	}{
		{[]string{`Etag: "x"`, "Content-Length: 400"}, "hit"},
		{[]string{`Etag: "x"`}, "hit"},
		{[]string{`Etag: W/"x"`, "Content-Length: 4"}, "hit"},
		{[]string{`Etag: "y"`, "Content-Length: 4"}, "miss"},
		{[]string{`Etag: W/"x"`, "Content-Length: 400"}, "miss"},
		{[]string{"Content-Length: 400"}, "miss"},
	} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(200, "body", "Cache-Control: max-age=600", `Etag: W/"x"`, "Content-Encoding: gzip"), reply(200, "", append(test.head, "Cache-Control: max-age=600")...), reply(200, "new")), cache.Options{})
			g.get(url)
			g.do("HEAD", url, "Cache-Control: no-cache")
			have, resp := g.get(url)
			if have.Outcome != test.outcome {
				t.Errorf("%q: %v, want %s", test.head, have, test.outcome)
			}
			if tag := resp.Header.Get("Etag"); test.outcome == "hit" && tag != `W/"x"` {
				t.Errorf("%q: the stored bytes are now called %s", test.head, tag)
			}
		})
	}
}
