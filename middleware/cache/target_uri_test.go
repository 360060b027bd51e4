package cache_test

import (
	"net/http"
	neturl "net/url"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

// canonicalising answers like a server that knows one spelling of each path, and sends all others there.
func canonicalising() *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		if sent := r.URL.RequestURI(); sent != "/b" && sent != "/" {
			return reply(301, "", "Cache-Control: max-age=60", "Location: /b")
		}
		return reply(200, "the page", "Cache-Control: max-age=60")
	}}
}

// What an origin answers to one spelling of a path is not the answer to another one: a redirect to the spelling that it likes would redirect to itself.
func TestTargetSpellingsHaveTheirOwnKeys(t *testing.T) {
	for _, spelling := range []string{
		"/a/../b", "/a/%2e%2e/b", "/a/%2E%2e/b", "/./b", "/../b", "/b/.", "/b/..", "/%62", "/b/", "//b", "/b?", "/b%2f",
	} {
		t.Run(spelling, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, canonicalising(), cache.Options{})
				have, _ := g.get("http://h.test" + spelling)
				g.want(have, 301, "", "miss", 1)
				have, _ = g.get("http://h.test/b")
				g.want(have, 200, "the page", "miss", 2)
				have, _ = g.get("http://h.test" + spelling)
				g.want(have, 301, "", "hit", 2)
			})
		})
	}
}

func TestTargetOfOpaqueURL(t *testing.T) {
	for _, opaque := range []string{"/b", "//h.test/b", "//H.test:80/b"} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, canonicalising(), cache.Options{})
			g.get("http://h.test/b")
			r := (&http.Request{Method: "GET", Header: http.Header{}, Host: "h.test", URL: &neturl.URL{Scheme: "http", Host: "h.test", Opaque: opaque}}).WithContext(t.Context())
			have, _ := g.send(r)
			g.want(have, 200, "the page", "hit", 1)
			put := r.Clone(t.Context())
			put.Method = "PUT"
			g.send(put)
			have, _ = g.get("http://h.test/b")
			g.want(have, 200, "the page", "miss", 3)
		})
	}
}

// Whichever spelling a URI is written to, or removed, by: all of them are one resource (RFC 9110 §4.2.3).
func TestTargetInvalidationReachesEverySpelling(t *testing.T) {
	const german, punycode = "http://bücher.example/a", "http://xn--bcher-kva.example/a"
	for _, test := range []struct{ stored, written string }{
		{german, punycode},
		{punycode, german},
		{punycode, "http://BÜCHER.example/a"},
		{"http://BÜCHER.example/a", german},
		{german, "http://XN--BCHER-KVA.EXAMPLE:80/a"},
		{"http://h.test/%61", "http://h.test/a"},
		{"http://h.test/b/../a", "http://h.test/a"},
		{"http://h.test/a", "http://h.test/b/%2E./a"},
		{"http://h.test/a%2fb?c=%7e", "http://H.test:80/a%2Fb?c=~"},
	} {
		ways := map[string]func(g *rig) error{
			"put": func(g *rig) error { g.do("PUT", test.written); return nil },
			"location": func(g *rig) error {
				u, _ := neturl.Parse(test.written)
				u.Path, u.RawPath, u.RawQuery = "/elsewhere", "", ""
				located := g.origin.answer
				g.origin.answer = func(r *http.Request) *http.Response {
					return reply(201, "", "Location: "+test.written)
				}
				g.do("POST", u.String())
				g.origin.answer = located
				return nil
			},
			"DeleteURL": func(g *rig) error { return g.DeleteURL(g.Context(), test.written) },
			"DeletePattern": func(g *rig) error {
				u, _ := neturl.Parse(test.written)
				_, err := g.DeletePattern(g.Context(), u.Host+u.EscapedPath())
				return err
			},
		}
		for name, end := range ways {
			t.Run(name+" "+test.stored, func(t *testing.T) {
				if name == "DeletePattern" && test.stored == "http://h.test/a" {
					t.Skip("a pattern is no URL: its dot segments are those that are sent")
				}
				inBubble(t, func(t *testing.T) {
					g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
					g.get(test.stored)
					if err := end(g); err != nil {
						t.Fatal(err)
					}
					asked := len(g.origin.asked)
					have, _ := g.get(test.stored)
					g.want(have, 200, "x", "miss", asked+1)
				})
			})
		}
	}
}

func TestTargetHostHasOneKeyInUnicodeAndPunycode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		g.get("http://bücher.example:80/a")
		have, _ := g.get("http://XN--bcher-kva.example/a")
		g.want(have, 200, "x", "hit", 1)
		have, _ = g.get("http://BÜCHER.example/a")
		g.want(have, 200, "x", "hit", 1)
		g.get("http://BÜCHER.example/b")
		if host := g.origin.asked[1].Host; host != "xn--bcher-kva.example" {
			t.Errorf("sent with Host %q, which is not what is keyed", host)
		}
	})
}
